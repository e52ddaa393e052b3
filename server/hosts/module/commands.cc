// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/commands.h"

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/spec.h"
#include "server/commands/table.h"
#include "server/commands/vector_commands.h"
#include "server/engine/within_memory.h"
#include "server/hosts/module/call.h"
#include "server/hosts/module/host.h"
#include "server/hosts/module/lent_keys.h"
#include "server/hosts/module/replies.h"
#include "server/runtime/process.h"

namespace engram::host {
namespace {

constexpr std::size_t kMostCommands = 64;
constexpr std::string_view kPrefix = "engram.";
constexpr std::string_view kOtherKeyWord = "INTO";  // of VCONSOLIDATE
constexpr const char* kReadonlyError = "READONLY You can't write against a read only replica.";
constexpr const char* kNoPermissionError =
    "NOPERM this user has no permissions to change one of the keys used as arguments";
constexpr int kMayChange = static_cast<int>(key_flag::kAccess | key_flag::kUpdate);
constexpr const char* kMergeError =
    "ERR MERGE is not for a module, where an index changes by commands alone: VCONSOLIDATE merges "
    "when it is asked to";
constexpr const char* kOomError = "OOM command not allowed when used memory > 'maxmemory'.";

bool has(const CommandSpec& spec, std::uint32_t flag) noexcept {
  return (spec.flags & flag) != 0;
}

/// VLIST asks for names, of which the server knows.
bool is_ours(const CommandSpec& spec) noexcept {
  return spec.name != "vlist";
}

/// One command being executed.
class Execution {
 public:
  Execution(Context* context, const CommandSpec& spec, std::span<String*> argv)
      : context_(context),
        host_(the_host()),
        spec_(spec),
        argv_(argv),
        flags_(api.GetContextFlags(context)),
        keys_(context, host_) {
    for (String* const word : argv) {
      std::size_t size = 0;
      const char* const bytes = api.StringPtrLen(word, &size);
      words_.emplace_back(bytes, size);
    }
    words_.front() = spec.name;
  }

  /// Errors: kResourceExhausted; the client has no reply then.
  Status run() {
    if (makes_merging_index()) {
      api.ReplyWithError(context_, kMergeError);
      return {};
    }
    host_.store().begin_turn(unix_time_ms());
    lend_keys();
    const bool writes = is_write();
    const bool is_exception = writes && !has(spec_, command_flag::kWrite);
    if (const char* const refusal = is_exception ? refusal_to_write() : nullptr) {
      api.ReplyWithError(context_, refusal);
      return {};
    }
    auto call = std::make_unique<Call>(
        host_, has_flag(context_flag::kResp3) ? RespVersion::kResp3 : RespVersion::kResp2);
    const auto begin = [&] { call->start(words_); };
    const auto has_ended = [&] { return call->has_ended(); };
    if (writes) {
      ENGRAM_TRY(write(begin, has_ended));
    } else if (may_block()) {
      begin();
    } else {
      host_.run_to_end(begin, has_ended);
    }
    if (call->has_ended()) {
      give_reply(context_, call->reply());
    } else {
      block(std::move(call));
    }
    return {};
  }

 private:
  [[nodiscard]] bool has_flag(int flag) const noexcept { return (flags_ & flag) != 0; }

  void lend_keys() {
    const bool writes = has(spec_, command_flag::kWrite);
    if (spec_.keys.first == 0 || argv_.size() <= 1) return;
    keys_.lend(argv_[1], writes);
    if (const std::size_t other = other_key(); other != 0 && words_[other] != words_[1]) {
      keys_.lend(argv_[other], writes);
    }
  }

  /// Where VCONSOLIDATE names another index; 0 if it does not.
  [[nodiscard]] std::size_t other_key() const {
    if (spec_.name != "vconsolidate") return 0;
    for (std::size_t i = 2; i + 1 < words_.size(); ++i) {
      if (equal_ignoring_case(words_[i], kOtherKeyWord)) return i + 1;
    }
    return 0;
  }

  /// As it is with these arguments and this index.
  [[nodiscard]] bool is_write() {
    const auto resolution = host_.services().commands.resolve(words_);
    return resolution.spec != nullptr &&
           changes_something(resolution.spec->in_effect(words_, host_.store()).kind());
  }

  /// It would group a whole index, which takes the main thread too long.
  [[nodiscard]] bool makes_merging_index() const {
    constexpr std::size_t kFirstOption = 3;  // after the name of the command, the index, and dim
    if (spec_.name != "vnew") return false;
    for (std::size_t i = kFirstOption; i < words_.size(); i += 2) {
      if (equal_ignoring_case(words_[i], "MERGE")) return true;
    }
    return false;
  }

  /// A command that writes as an exception was let through as one that reads. Null: it may write.
  [[nodiscard]] const char* refusal_to_write() const {
    if (has_flag(context_flag::kReplicated) || has_flag(context_flag::kLoading)) return nullptr;
    if (has_flag(context_flag::kReplica) && has_flag(context_flag::kReadonly)) {
      return kReadonlyError;
    }
    String* const name = user_name();
    if (name == nullptr) return nullptr;
    User* const user = api.GetModuleUserFromUserName(name);
    const bool may_write =
        user != nullptr && api.ACLCheckKeyPermissions(user, argv_[1], kMayChange) == kOk;
    if (user != nullptr) api.FreeModuleUser(user);
    api.FreeString(context_, name);
    return may_write ? nullptr : kNoPermissionError;
  }

  /// Null: there is no user, as where another module calls, which may do what it likes. The server
  /// ends itself if it is asked for the name then. Scripts have a user, and no id.
  [[nodiscard]] String* user_name() const {
    if (has_flag(context_flag::kLua)) return api.GetCurrentUserName(context_);
    return api.GetClientUserNameById(context_, api.GetClientId(context_));
  }

  [[nodiscard]] bool may_block() const noexcept {
    return !has_flag(context_flag::kLua | context_flag::kMulti | context_flag::kDenyBlocking);
  }

  /// Where memory ends, what has been done until then stays, here and on replicas.
  template <class Begin, class HasEnded>
  Status write(const Begin& begin, const HasEnded& has_ended) {
    host_.effects().begin_command();
    const Status done = within_memory([&]() -> Status {
      host_.run_to_end(begin, has_ended);
      forget_what_is_due();
      return {};
    });
    const auto effects = host_.effects().end_command();
    const Status kept = within_memory([&]() -> Status {
      settle();
      return {};
    });
    const Status returned = within_memory([&]() -> Status {
      keys_.take_back();
      return {};
    });
    keys_.replicate(effects, event_.c_str());
    ENGRAM_TRY(done);
    ENGRAM_TRY(kept);
    return returned;
  }

  /// What an index forgets by itself it forgets with what is written to it.
  void forget_what_is_due() {
    keys_.for_each_collection([this](const std::shared_ptr<Collection>& collection) {
      if (!collection->spec().decay.upkeep.is_on()) return;
      host_.run_to_end([&] { host_.store().upkeep().run_due_of(collection); },
                       [&] { return !collection->upkeep().is_forgetting; });
    });
  }

  /// What comes after a piece of upkeep depends on it: it is done at the same place everywhere.
  void settle() {
    keys_.for_each_collection([this](const std::shared_ptr<Collection>& collection) {
      host_.run_to_end([] {}, [&] { return !collection->is_reclaiming(); });
    });
  }

  void block(std::unique_ptr<Call> call) {
    BlockedClient* const client = api.BlockClient(context_, give_blocked, nullptr, free_call, 0);
    ++host_.stats().blocked_commands;
    call.release()->block(client);
  }

  static int give_blocked(Context* context, String**, int) {
    give_reply(context, static_cast<Call*>(api.GetBlockedClientPrivateData(context))->reply());
    return kOk;
  }
  static void free_call(Context*, void* call) { delete static_cast<Call*>(call); }

  Context* const context_;
  Host& host_;
  const CommandSpec& spec_;
  const std::span<String*> argv_;
  const int flags_;
  const std::string event_ = std::string(kPrefix) + std::string(spec_.name);
  std::vector<std::string_view> words_;
  LentKeys keys_;
};

template <std::size_t number>
int run_command(Context* context, String** argv, int argc) {
  const Status ran = within_memory([&]() -> Status {
    return Execution(context, vector_commands()[number], {argv, static_cast<std::size_t>(argc)})
        .run();
  });
  if (!ran) api.ReplyWithError(context, kOomError);
  return kOk;
}

/// The server tells a handler no more than its arguments, and the name may have been changed.
template <std::size_t... numbers>
constexpr auto handlers_of(std::index_sequence<numbers...>) {
  return std::array<CommandHandler, sizeof...(numbers)>{run_command<numbers>...};
}
constexpr auto kHandlers = handlers_of(std::make_index_sequence<kMostCommands>());

std::string flags_of(const CommandSpec& spec) {
  std::string flags = has(spec, command_flag::kWrite) ? "write" : "readonly";
  if (has(spec, command_flag::kDenyOom)) flags += " deny-oom";
  if (has(spec, command_flag::kFast)) flags += " fast";
  if (has(spec, command_flag::kMayReplicate)) flags += " may-replicate";
  return flags;
}

/// The first argument; of VCONSOLIDATE, what follows a word as well. An entry of zeros ends them.
std::array<KeySpec, 3> key_specs_of(const CommandSpec& spec) {
  const bool writes = has(spec, command_flag::kWrite);
  std::array<KeySpec, 3> keys;
  keys[0].flags = writes ? key_flag::kReadWrite | key_flag::kAccess | key_flag::kUpdate
                         : key_flag::kReadOnly | key_flag::kAccess;
  keys[0].begin = KeySpec::kAtIndex;
  keys[0].where.index = 1;
  keys[0].find = KeySpec::kRange;
  keys[0].keys.range = {.last = 0, .step = 1, .limit = 0};
  if (spec.name == "vconsolidate") {
    keys[1] = keys[0];
    keys[1].begin = KeySpec::kAfterWord;
    keys[1].where.keyword = {.word = kOtherKeyWord.data(), .from = 2};
  }
  return keys;
}

}  // namespace

bool register_command(Context* context, const char* name, CommandHandler handler, const char* flags,
                      int first_key, KeySpec* keys) {
  const int step = first_key == 0 ? 0 : 1;
  if (api.CreateCommand(context, name, handler, flags, first_key, first_key, step) != kOk) {
    return false;
  }
  Command* const command = api.GetCommand(context, name);
  if (first_key != 0) {
    static constexpr CommandInfoVersion kVersion;
    CommandInfo info;
    info.version = &kVersion;
    info.key_specs = keys;
    api.SetCommandInfo(command, &info);
  }
  if (api.SetCommandACLCategories != nullptr) {
    const bool writes = std::string_view(flags).starts_with("write");
    api.SetCommandACLCategories(command, writes ? "write" : "read");
  }
  return true;
}

/// A plain name that is taken is the server's own; the full one always works.
bool register_commands(Context* context) {
  const auto all = vector_commands();
  for (std::size_t i = 0; i < all.size() && i < kMostCommands; ++i) {
    const CommandSpec& spec = all[i];
    if (!is_ours(spec)) continue;
    const std::string flags = flags_of(spec);
    auto keys = key_specs_of(spec);
    const auto make = [&](const std::string& name) {
      return register_command(context, name.c_str(), kHandlers[i], flags.c_str(), spec.keys.first,
                              keys.data());
    };
    if (!make(std::string(kPrefix) + std::string(spec.name))) return false;
    [[maybe_unused]] const bool is_free = make(std::string(spec.name));
  }
  return true;
}

}  // namespace engram::host
