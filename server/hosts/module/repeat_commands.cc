// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/repeat_commands.h"

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "server/engine/journal_replayer.h"
#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"
#include "server/engine/within_memory.h"
#include "server/hosts/module/commands.h"
#include "server/hosts/module/data_type.h"
#include "server/hosts/module/frame.h"
#include "server/hosts/module/index_value.h"
#include "server/hosts/module/lent_keys.h"
#include "server/runtime/process.h"

namespace engram::host {
namespace {

constexpr const char* kFlags = "write deny-oom";
constexpr std::size_t kMostPendingLoads = 16;

/// By number of the database and name.
using LoadName = std::pair<int, std::string>;
struct PendingLoad {
  std::uint64_t next = 0;  // number of the chunk that is due
  std::uint64_t age = 0;
  ValueReader reader;
};
std::map<LoadName, PendingLoad> loads;
std::uint64_t loads_begun = 0;

std::string_view text_of(const String* string) {
  std::size_t size = 0;
  const char* const bytes = api.StringPtrLen(string, &size);
  return {bytes, size};
}

/// What `body` returns as a reply. What was repeated is passed on as it came.
template <class Body>
int reply_to(Context* context, Body&& body) {
  const Status done = within_memory(std::forward<Body>(body));
  if (!done) {
    api.ReplyWithError(context, ("ERR " + done.error().message).c_str());
    return kOk;
  }
  api.ReplicateVerbatim(context);
  api.ReplyWithSimpleString(context, "OK");
  return kOk;
}

std::shared_ptr<Collection> collection_of(LentKeys& keys) {
  std::shared_ptr<Collection> found;
  keys.for_each_collection([&](const auto& collection) { found = collection; });
  return found;
}

/// A master may put to a slot above all that are known here: what lay there before was deleted
/// ahead of the snapshot. Nobody else may ask for slots that nothing fills.
Status check_slots(Context* context, const Frame& frame, const Collection* collection) {
  if ((api.GetContextFlags(context) & (context_flag::kReplicated | context_flag::kLoading)) != 0) {
    return {};
  }
  const std::size_t known = collection == nullptr ? 0 : collection->slots();
  if (frame.slots <= known + frame.puts) return {};
  return fail(ErrorCode::kInvalidArgument, "the frame puts to slot " +
                                               std::to_string(frame.slots - 1) +
                                               ", and the index has " + std::to_string(known));
}

Status repeat_all(Host& host, const std::shared_ptr<Collection>& collection,
                  std::string_view changes) {
  const RecoveryContext context = host.recovery_context();
  RestoredCollections restored(context);
  restored.adopt(kIdInFrame, collection);
  PendingWork work(context.workers, context.wait_for_workers);
  const KeptJobs kept(context.workers);
  JournalReplayer replayer(context.keyspace, restored, work);
  Status repeated = replayer.repeat_frame(0, changes);
  if (repeated) repeated = replayer.finish();
  const Status ended = work.wait_for_all();
  return repeated ? ended : repeated;
}

/// Readers may hold up what the change relies on: it waits for them.
Status apply_frame(Context* context, String* name, std::string_view bytes) {
  const auto frame = read_frame(text_of(name), bytes);
  if (!frame) return tl::unexpected(frame.error());
  Host& host = the_host();
  host.store().begin_turn(unix_time_ms());
  host.run_until_idle();
  LentKeys keys(context, host);
  keys.lend(name, true);
  std::shared_ptr<Collection> collection = collection_of(keys);
  ENGRAM_TRY(check_slots(context, *frame, collection.get()));
  if (frame->creation) {
    if (host.store().keyspace().contains(text_of(name))) {
      return fail(ErrorCode::kAlreadyExists, "the key exists");
    }
    auto made = make_collection(host, *frame->creation);
    if (!made) return tl::unexpected(std::move(made.error()));
    collection = std::move(*made);
    host.store().keyspace().lend(text_of(name), collection);
  }
  if (collection == nullptr) return fail(ErrorCode::kNotFound, "there is no such index");
  ENGRAM_TRY(repeat_all(host, collection, frame->changes));
  host.run_to_end([] {}, [&] { return !collection->is_reclaiming(); });
  keys.take_back();
  api.SignalModifiedKey(context, name);
  return {};
}

int apply_command(Context* context, String** argv, int argc) {
  if (argc != 3) {
    return api.ReplyWithError(context, "ERR wrong number of arguments for 'engram.apply' command");
  }
  return reply_to(context, [&] { return apply_frame(context, argv[1], text_of(argv[2])); });
}

/// The one of that name; where it begins and there are too many, the oldest goes.
PendingLoad& begin_load(const LoadName& name) {
  loads.erase(name);
  if (loads.size() >= kMostPendingLoads) {
    auto oldest = loads.begin();
    for (auto it = loads.begin(); it != loads.end(); ++it) {
      if (it->second.age < oldest->second.age) oldest = it;
    }
    loads.erase(oldest);
  }
  PendingLoad& load = loads[name];
  load.age = ++loads_begun;
  return load;
}

Status end_load(Context* context, String* name, ValueReader& reader) {
  auto collection = read_value(the_host(), reader);
  if (!collection) return tl::unexpected(std::move(collection.error()));
  Key* const key = api.OpenKey(context, name, kRead | kWrite);
  const auto close = [](Key* opened) { api.CloseKey(opened); };
  const std::unique_ptr<Key, decltype(close)> closes(key, close);
  const int kind = api.KeyType(key);
  if (kind != kEmptyKey && (kind != kModuleKey || api.ModuleTypeGetType(key) != index_type())) {
    return fail(ErrorCode::kWrongType, "the key holds another type of value");
  }
  if (!set_index(key, std::move(*collection))) {
    return fail(ErrorCode::kUnsupported, "the key cannot be set");
  }
  api.SignalModifiedKey(context, name);
  return {};
}

Status load_chunk(Context* context, String* key, std::string_view number, std::string_view chunk) {
  const LoadName name(api.GetSelectedDb(context), text_of(key));
  const auto sequence = parse_number<std::uint64_t>(number);
  if (!sequence) return fail(ErrorCode::kInvalidArgument, "the chunk has no number");
  if (*sequence == 0) begin_load(name);
  const auto found = loads.find(name);
  if (found == loads.end() || found->second.next != *sequence) {
    return fail(ErrorCode::kInvalidArgument, "another chunk of this value is due");
  }
  ++found->second.next;
  Status outcome = chunk.empty() ? end_load(context, key, found->second.reader)
                                 : found->second.reader.add(chunk);
  if (chunk.empty() || !outcome) loads.erase(found);
  return outcome;
}

int load_command(Context* context, String** argv, int argc) {
  if (argc != 4) {
    return api.ReplyWithError(context, "ERR wrong number of arguments for 'engram.load' command");
  }
  return reply_to(context,
                  [&] { return load_chunk(context, argv[1], text_of(argv[2]), text_of(argv[3])); });
}

}  // namespace

std::size_t pending_loads() noexcept {
  return loads.size();
}

bool register_repeat_commands(Context* context) {
  std::array<KeySpec, 2> keys;
  keys[0].flags = key_flag::kReadWrite | key_flag::kAccess | key_flag::kUpdate;
  keys[0].begin = KeySpec::kAtIndex;
  keys[0].where.index = 1;
  keys[0].find = KeySpec::kRange;
  keys[0].keys.range = {.last = 0, .step = 1, .limit = 0};
  return register_command(context, "engram.apply", apply_command, kFlags, 1, keys.data()) &&
         register_command(context, "engram.load", load_command, kFlags, 1, keys.data());
}

}  // namespace engram::host
