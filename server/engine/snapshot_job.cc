// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_job.h"

#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "server/durability/change.h"
#include "server/durability/journal_copy.h"
#include "server/durability/packed_collections.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_sections.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/runtime/process.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

/// What the loop copies in one go while clients wait: some tens of microseconds.
constexpr std::size_t kPortionBytes = std::size_t{64} << 10;
constexpr std::size_t kPortionKeys = 128;

/// What is saved in some tens of microseconds.
constexpr Slot kSmallSlots = 256;
constexpr std::size_t kLargestGroup = 64;

/// So many collections may have sections of their own, whatever their size: some megabytes.
constexpr std::size_t kPackFrom = 256;

tl::unexpected<Error> cancelled() {
  return fail(ErrorCode::kIo, "the server ends");
}

/// Writes changes into a string.
class ChangeText final : public ChangeSink {
 public:
  explicit ChangeText(std::string& out) : out_(out) {}
  void record(const Change& change) override { encode(change, out_); }
  GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

 private:
  std::string& out_;
};

/// What is left of a copy would be taken for a store that has lost its beginning.
void remove_store(const StoreFiles& files) {
  FileSystem& disk = files.disk();
  std::vector<std::string> paths = {files.snapshot_path()};
  if (const auto segments = files.segments()) {
    for (const Lsn first : *segments) paths.push_back(files.segment_path(first));
  }
  for (const std::string& path : paths) {
    [[maybe_unused]] const Status removed = disk.remove(path);
  }
}

/// Passes on until it is told to stop.
class StoppableWriter final : public SectionWriter {
 public:
  StoppableWriter(SectionWriter& writer, const std::atomic<bool>& stop)
      : writer_(writer), stop_(stop) {}
  Status begin(std::string_view name) override {
    return stop_.load() ? Status(cancelled()) : writer_.begin(name);
  }
  Status append(std::span<const std::byte> bytes) override {
    return stop_.load() ? Status(cancelled()) : writer_.append(bytes);
  }

 private:
  SectionWriter& writer_;
  const std::atomic<bool>& stop_;
};

}  // namespace

SnapshotJob::SnapshotJob(Context context, std::vector<Listed> collections,
                         const std::function<void(const Outcome&)>& done)
    : context_(std::move(context)),
      begun_ms_(context_.keyspace.now_ms()),
      collections_(std::move(collections)),
      next_collection_id_(context_.keyspace.next_collection_id()) {
  try {
    thread_ = std::thread([this, done] {
      name_this_thread("snapshot");
      prefer_background();
      const auto outcome = std::make_shared<const Outcome>(write());
      collections_.clear();  // here: freeing one that was dropped meanwhile takes long
      context_.loop.post([done, outcome] { done(*outcome); });
    });
  } catch (const std::system_error& error) {
    context_.loop.post([done, reason = std::string(error.what())] {
      done({.status = fail(ErrorCode::kResourceExhausted, "cannot start a thread: " + reason)});
    });
  }
}

SnapshotJob::~SnapshotJob() {
  cancelled_.store(true);
  if (thread_.joinable()) thread_.join();
}

/// Of a hundred thousand this takes some tens of milliseconds, while clients wait: no more than
/// what the loop alone can tell is asked here.
std::vector<SnapshotJob::Listed> SnapshotJob::list_collections(Keyspace& keyspace) {
  const auto& all = keyspace.collection_names();
  const std::vector<std::string> names(all.begin(), all.end());  // asking may remove an expired one
  std::vector<Listed> listed;
  listed.reserve(names.size());
  for (const std::string& name : names) {
    const Value* const value = keyspace.peek(name);
    if (value == nullptr) continue;
    const auto& collection = std::get<std::shared_ptr<Collection>>(*value);
    listed.push_back({.name = name,
                      .expires_ms = keyspace.expires_at(name).value_or(kNeverExpires),
                      .collection = collection,
                      .is_small = collection->slots() <= kSmallSlots});
  }
  return listed;
}

SnapshotJob::Outcome SnapshotJob::write() {
  return context_.copy_directory.empty() ? write_to(*context_.files) : write_copy();
}

/// A journal that begins where the snapshot has to be replayed from makes a store of it.
SnapshotJob::Outcome SnapshotJob::write_copy() {
  const auto target = open_target();
  if (!target) return {.status = tl::unexpected(target.error())};
  Outcome outcome = write_to(**target);
  if (!outcome.status) remove_store(**target);
  return outcome;
}

/// An existing directory that holds no store.
Result<std::unique_ptr<StoreFiles>> SnapshotJob::open_target() {
  const auto path = directory_path(context_.copy_directory);
  if (!path) {
    return fail(ErrorCode::kIo,
                "cannot save to " + context_.copy_directory + ": " + path.error().message);
  }
  if (context_.files != nullptr && *path == context_.files->directory()) {
    return fail(ErrorCode::kInvalidArgument,
                "the store is in " + *path + "; without TO it is saved there");
  }
  auto target = StoreFiles::open(context_.disk, *path);
  if (!target) return target;
  const auto names = context_.disk.list(*path);
  if (!names) return tl::unexpected(names.error());
  if (holds_store(*names)) {
    return fail(ErrorCode::kAlreadyExists, *path + " holds a store already");
  }
  (*target)->set_id(random_id());
  return target;
}

SnapshotJob::Outcome SnapshotJob::write_to(const StoreFiles& files) {
  auto writer = SnapshotWriter::create(files);
  if (!writer) return {.status = tl::unexpected(std::move(writer.error()))};
  Status status = save_strings(**writer);
  CollectionPacker packer(**writer, collections_.size() >= kPackFrom);
  if (status) status = save_collections(packer);
  (*writer)->set_owner(kStoreOwner);
  if (status) status = save_creations(**writer);
  if (status) status = save_counters(**writer);
  if (status && &files != context_.files) {
    const StoreFiles& source = context_.files == nullptr ? files : *context_.files;
    status = copy_journal(source, context_.replay_from, journal_reaches_, files);
  }
  if (!status) return {.status = std::move(status)};
  std::optional<Status> linked;
  if (context_.links_newest) linked = link_newest_as_previous(*context_.files);
  const auto bytes = (*writer)->publish(context_.replay_from, begun_ms_);
  if (!bytes) return {.status = tl::unexpected(bytes.error())};
  return {.status = {}, .bytes = *bytes, .linked = std::move(linked)};
}

/// The loop copies a portion, this thread writes it.
Status SnapshotJob::save_strings(SnapshotWriter& writer) {
  writer.set_owner(kStoreOwner);
  ENGRAM_TRY(writer.begin(kStringsSection));
  std::uint64_t cursor = 0;
  std::string portion;
  do {
    portion.clear();
    const bool done = context_.loop.call([&] { cursor = take_strings(cursor, portion); });
    if (!done || cancelled_.load()) return cancelled();
    ENGRAM_TRY(writer.append(std::as_bytes(std::span(portion))));
  } while (cursor != 0);
  return {};
}

std::uint64_t SnapshotJob::take_strings(std::uint64_t cursor, std::string& out) {
  do {
    cursor =
        context_.keyspace.scan(cursor, kPortionKeys, [&](std::string_view key, const Value& value) {
          const auto* const text = std::get_if<std::string>(&value);
          if (text == nullptr) return;
          const std::int64_t expires_ms = context_.keyspace.expires_at(key).value_or(kNeverExpires);
          encode(SetString{key, expires_ms, *text}, out);
        });
  } while (cursor != 0 && out.size() < kPortionBytes);
  return cursor;
}

/// Asking the loop costs more than saving a small collection does, so these come in groups.
Status SnapshotJob::save_collections(CollectionPacker& packer) {
  const std::span<const Listed> all(collections_);
  for (std::size_t begin = 0; begin < all.size();) {
    std::size_t end = begin + 1;
    while (all[begin].is_small && end < all.size() && all[end].is_small &&
           end - begin < kLargestGroup) {
      ++end;
    }
    ENGRAM_TRY(save_group(all.subspan(begin, end - begin), packer));
    begin = end;
  }
  return packer.finish();
}

Status SnapshotJob::save_group(std::span<const Listed> group, CollectionPacker& packer) {
  const bool begun = context_.loop.wait_for([group](const LoopTasks::Task& resume) {
    const auto waited_for = std::make_shared<std::size_t>(group.size());
    for (const Listed& listed : group) {
      listed.collection->begin_save([waited_for, resume] {
        if (--*waited_for == 0) resume();
      });
    }
  });
  if (!begun) return cancelled();
  Status status;
  for (const Listed& listed : group) {
    if (status) status = save_collection(listed, packer);
  }
  context_.loop.call([&] {
    for (const Listed& listed : group) listed.collection->end_save();
  });
  return status;
}

Status SnapshotJob::save_collection(const Listed& listed, CollectionPacker& packer) {
  const Collection& collection = *listed.collection;
  ENGRAM_TRY(packer.add(collection.id(), [&](SectionWriter& writer) {
    StoppableWriter stoppable(writer, cancelled_);
    return collection.save(stoppable);
  }));
  return collection.check_soundness(listed.name);
}

/// The changes that make them.
Status SnapshotJob::save_creations(SnapshotWriter& writer) {
  ENGRAM_TRY(writer.begin(kCollectionsSection));
  std::string portion;
  ChangeText changes(portion);
  for (const Listed& listed : collections_) {
    record_creation(changes, listed.name, listed.expires_ms, *listed.collection);
    if (portion.size() < kPortionBytes) continue;
    ENGRAM_TRY(writer.append(std::as_bytes(std::span(portion))));
    portion.clear();
  }
  return writer.append(std::as_bytes(std::span(portion)));
}

/// The snapshot holds traces of frames that are not on disk yet, perhaps not even whole ones. Were
/// they lost now, nothing would make it whole. So it waits for them, and says how far the journal
/// has to reach.
Status SnapshotJob::save_counters(SnapshotWriter& writer) {
  erase_expired();
  const Result<Lsn> synced = sync_journal();
  if (!synced) return tl::unexpected(synced.error());
  journal_reaches_ = *synced;
  return write_counters(writer,
                        {.next_collection_id = next_collection_id_, .journal_reaches = *synced});
}

/// Keys that had expired were left out. An APPEND to one of them that is repeated would bring it
/// back without its expiry, unless the journal goes on to say that it is gone.
void SnapshotJob::erase_expired() {
  bool more = true;
  while (more && !cancelled_.load()) {
    more = false;
    context_.loop.call([&] { more = context_.keyspace.expire_due(kPortionKeys) == kPortionKeys; });
  }
}

Result<Lsn> SnapshotJob::sync_journal() {
  Result<Lsn> outcome = cancelled();
  context_.loop.wait_for([&](const LoopTasks::Task& resume) {
    context_.sync_journal([&outcome, resume](const Result<Lsn>& synced) {
      outcome = synced;
      resume();
    });
  });
  return outcome;
}

}  // namespace engram
