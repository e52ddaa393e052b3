// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_salvage.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "server/durability/change.h"
#include "server/durability/little_endian.h"
#include "server/durability/packed_collections.h"
#include "server/durability/repair.h"
#include "server/durability/store_sections.h"

namespace engram {
namespace {

const std::atomic<bool> kGoOn = false;

/// As CollectionSave names it: a slot and a key for each vector.
constexpr std::string_view kKeys = "keys";

class Salvage {
 public:
  Salvage(const SnapshotFile& from, SnapshotWriter& to, std::vector<std::string>& lines)
      : from_(from), to_(to), lines_(lines) {
    for (const SnapshotEntry& entry : from_.entries()) entries_[entry.owner].push_back(&entry);
  }

  Status run() {
    to_.set_owner(kStoreOwner);
    ENGRAM_TRY(save_strings());
    const auto packed = PackedCollections::read(from_);
    if (!packed)
      lines_.push_back("which indexes share sections is lost: " + packed.error().message);
    CollectionPacker packer(to_, true);
    std::string collections;
    ENGRAM_TRY(take_changes<NewCollection>(kCollectionsSection, "index", [&](std::string_view run) {
      collections += run;
      return Status();
    }));
    std::string kept;
    for (std::string_view left = collections; !left.empty();) {
      const std::string_view before = left;
      const auto change = decode(left);
      const auto& collection = std::get<NewCollection>(*change);
      listed_.insert(collection.id);
      const auto body = packed ? packed->body(collection.id) : no_body();
      const bool is_packed = body || body.error().code != ErrorCode::kNotFound;
      const Status sound = is_packed ? status_of(body) : check(collection.id);
      if (!sound) {
        report_lost(collection, sound.error());
        continue;
      }
      // Those that share sections come last.
      if (is_packed) packed_ids_.push_back(collection.id);
      if (!is_packed) ENGRAM_TRY(copy(collection.id));
      kept += before.substr(0, before.size() - left.size());
    }
    for (const SectionOwner id : packed_ids_) {
      const auto body = packed->body(id);
      if (!body) return tl::unexpected(body.error());
      ENGRAM_TRY(packer.add_body(id, *body));
    }
    ENGRAM_TRY(packer.finish());
    if (packed) ids_ = packed->ids();
    for (const SnapshotEntry& entry : from_.entries()) ids_.push_back(entry.owner);
    report_nameless();
    to_.set_owner(kStoreOwner);
    ENGRAM_TRY(to_.begin(kCollectionsSection));
    ENGRAM_TRY(to_.append(as_span(kept)));
    return save_counters();
  }

 private:
  /// Takes bytes off the front of what there is of a section, and says how many; the rest comes
  /// again, with more behind it.
  using Parse = std::function<Result<std::size_t>(std::string_view)>;

  /// Gives `parse` the bytes of a section before its first damaged block, as they come.
  Status parse_sound(const SnapshotEntry& entry, const Parse& parse) const {
    std::string left;
    return from_.read_sound_beginning(entry, [&](std::span<const std::byte> piece) -> Status {
      left += as_text(piece);
      const auto taken = parse(left);
      if (!taken) return tl::unexpected(taken.error());
      left.erase(0, *taken);
      return {};
    });
  }

  /// Gives `take` runs of the changes of a section of the store up to its first damaged block; says
  /// what does not follow.
  template <class T>
  Status take_changes(std::string_view name, const std::string& thing,
                      const std::function<Status(std::string_view run)>& take) {
    const SnapshotEntry* const entry = find(kStoreOwner, name);
    if (entry == nullptr) {
      lines_.push_back("the snapshot has no section '" + std::string(name) + "'");
      return {};
    }
    std::uint64_t good = 0;
    std::uint64_t count = 0;
    bool has_others = false;
    const auto parse = [&](std::string_view bytes) -> Result<std::size_t> {
      std::string_view run = bytes.substr(0, 0);
      for (std::string_view left = bytes; !left.empty() && !has_others;) {
        const auto change = decode(left);
        if (!change) break;  // there may be more of it
        has_others = !std::holds_alternative<T>(*change);
        if (has_others) break;
        run = bytes.substr(0, bytes.size() - left.size());
        ++count;
      }
      ENGRAM_TRY(take(run));
      good += run.size();
      return has_others ? bytes.size() : run.size();
    };
    ENGRAM_TRY(parse_sound(*entry, parse));
    if (good < entry->length) {
      lines_.push_back("section '" + std::string(name) + "' is damaged: lost is every " + thing +
                       " of the snapshot but the first " + std::to_string(count));
    }
    return {};
  }

  Status save_strings() {
    ENGRAM_TRY(to_.begin(kStringsSection));
    return take_changes<SetString>(kStringsSection, "string",
                                   [&](std::string_view run) { return to_.append(as_span(run)); });
  }

  const std::vector<const SnapshotEntry*>& entries_of(SectionOwner owner) const {
    static const std::vector<const SnapshotEntry*> none;
    const auto found = entries_.find(owner);
    return found == entries_.end() ? none : found->second;
  }

  const SnapshotEntry* find(SectionOwner owner, std::string_view name) const {
    for (const SnapshotEntry* const entry : entries_of(owner)) {
      if (entry->name == name) return entry;
    }
    return nullptr;
  }

  static Result<std::string> no_body() { return fail(ErrorCode::kNotFound, {}); }
  static Status status_of(const Result<std::string>& body) {
    return body ? Status{} : tl::unexpected(body.error());
  }

  Status check(SectionOwner owner) const {
    const auto& entries = entries_of(owner);
    for (const SnapshotEntry* const entry : entries) ENGRAM_TRY(from_.verify(*entry, kGoOn));
    if (!entries.empty()) return {};
    return fail(ErrorCode::kDataLoss, "where its sections are is not known");
  }

  Status copy(SectionOwner owner) {
    to_.set_owner(owner);
    for (const SnapshotEntry* const entry : entries_of(owner)) {
      ENGRAM_TRY(to_.begin(entry->name));
      ENGRAM_TRY(from_.read_in_pieces(
          *entry, [&](std::span<const std::byte> piece) { return to_.append(piece); }));
    }
    return {};
  }

  std::string count_vectors(SectionOwner owner) const {
    const SnapshotEntry* const keys = find(owner, kKeys);
    std::uint64_t count = 0;
    const auto parse = [&](std::string_view bytes) -> Result<std::size_t> {
      std::size_t good = 0;
      for (FieldReader fields(bytes); !fields.rest().empty(); ++count) {
        fields.number<Slot>();
        fields.string();
        if (!fields.ok()) break;
        good = bytes.size() - fields.rest().size();
      }
      return good;
    };
    if (keys == nullptr || !from_.verify(*keys, kGoOn) || !parse_sound(*keys, parse)) {
      return "an unknown number of vectors";
    }
    return how_many(count, "vector");
  }

  void report_lost(const NewCollection& collection, const Error& why) {
    lines_.push_back("lost is index '" + std::string(collection.key) + "' with " +
                     count_vectors(collection.id) +
                     ", and what the journal changed in it since: " + why.message);
  }

  /// Collections whose sections are there, and whose names are not.
  void report_nameless() {
    std::set<SectionOwner> nameless_ids(ids_.begin(), ids_.end());
    nameless_ids.erase(kStoreOwner);
    nameless_ids.erase(kPackOwner);
    for (const SectionOwner id : listed_) nameless_ids.erase(id);
    const std::size_t nameless = nameless_ids.size();
    if (nameless == 0) return;
    lines_.push_back("lost are " + std::to_string(nameless) +
                     " indexes whose names and options cannot be read");
  }

  /// Ids are counted on from the greatest that is met. That the journal reaches far enough has to
  /// be taken on trust.
  Status save_counters() {
    StoreCounters counters{.next_collection_id = 1, .journal_reaches = 0};
    ids_.insert(ids_.end(), listed_.begin(), listed_.end());
    for (const SectionOwner id : ids_) {
      if (id == kPackOwner) continue;
      counters.next_collection_id = std::max(counters.next_collection_id, id + 1);
    }
    const auto sections = from_.sections_of(kStoreOwner);
    if (const auto found = read_counters(*sections)) counters = *found;
    return write_counters(to_, counters);
  }

  const SnapshotFile& from_;
  SnapshotWriter& to_;
  std::vector<std::string>& lines_;
  std::set<SectionOwner> listed_;
  std::vector<SectionOwner> ids_;         // of all collections that there are traces of, and others
  std::vector<SectionOwner> packed_ids_;  // of those that are kept
  std::unordered_map<SectionOwner, std::vector<const SnapshotEntry*>> entries_;
};

}  // namespace

Result<std::unique_ptr<SnapshotFile>> open_damaged(const StoreFiles& files, StoreId& id) {
  return SnapshotFile::open(files, id, files.snapshot_path(), HeaderCheck::kPassOver);
}

Status salvage_snapshot(const StoreFiles& files, const SnapshotFile& damaged,
                        std::vector<std::string>& lines) {
  const auto writer = SnapshotWriter::create(files);
  if (!writer) return tl::unexpected(writer.error());
  std::vector<std::string> losses;
  ENGRAM_TRY(Salvage(damaged, **writer, losses).run());
  ENGRAM_TRY(copy_snapshot_aside(files, lines));
  ENGRAM_TRY((*writer)->publish(damaged.replay_from(), damaged.begun_ms()));
  lines.emplace_back("wrote snapshot.engram anew, without what is damaged");
  lines.insert(lines.end(), losses.begin(), losses.end());
  if (losses.empty()) lines.emplace_back("nothing is lost");
  return {};
}

}  // namespace engram
