// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_loader.h"

#include <string>
#include <utility>
#include <variant>

#include "server/durability/change.h"
#include "server/durability/little_endian.h"
#include "server/durability/packed_collections.h"
#include "server/durability/store_sections.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/engine/keyspace_changes.h"

namespace engram {
namespace {

/// Calls visit(change) -> Status for every change of a section that holds no others.
template <class Expected, class Visit>
Status for_each_change(SectionReader& sections, std::string_view name, Visit&& visit) {
  const auto section = sections.section(name);
  if (!section) return tl::unexpected(section.error());
  std::string_view bytes = as_text(*section);
  while (!bytes.empty()) {
    const auto change = decode(bytes);
    if (!change) return tl::unexpected(change.error());
    const auto* const expected = std::get_if<Expected>(&*change);
    if (expected == nullptr) {
      return fail(ErrorCode::kDataLoss,
                  "the snapshot's " + std::string(name) + " hold something else");
    }
    ENGRAM_TRY(visit(*expected));
  }
  return {};
}

Status restore_collection(const SnapshotFile& snapshot, const PackedCollections& packed,
                          const NewCollection& change, RestoredCollections& collections,
                          PendingWork& work) {
  const auto sections = packed.sections_of(change.id);
  const auto restored = collections.restore(change, [&](Collection& collection) {
    return collection.load(*sections, snapshot.soundness_of(change.id));
  });
  if (!restored) return tl::unexpected(restored.error());
  if (*restored != nullptr && !(*restored)->spec().primitive->traits.saves_structure) {
    (*restored)->rebuild(work.begin());
  }
  return {};
}

}  // namespace

Result<Lsn> load_snapshot(const SnapshotFile& snapshot, Keyspace& keyspace,
                          RestoredCollections& collections, PendingWork& work) {
  const auto sections = snapshot.sections_of(kStoreOwner);
  ENGRAM_TRY(for_each_change<SetString>(*sections, kStringsSection,
                                        [&](const SetString& change) -> Status {
                                          repeat(keyspace, change);
                                          return {};
                                        }));
  const auto packed = PackedCollections::read(snapshot);
  if (!packed) return tl::unexpected(packed.error());
  ENGRAM_TRY(for_each_change<NewCollection>(
      *sections, kCollectionsSection, [&](const NewCollection& change) {
        return restore_collection(snapshot, *packed, change, collections, work);
      }));
  const auto counters = read_counters(*sections);
  if (!counters) return tl::unexpected(counters.error());
  if (const std::uint64_t next_id = counters->next_collection_id; next_id > 0) {
    keyspace.reserve_collection_id(next_id - 1);
  }
  ENGRAM_TRY(work.wait_for_all());
  const auto soundness = snapshot.soundness_of(kStoreOwner);
  if (!soundness->holds()) return fail(ErrorCode::kDataLoss, soundness->reason());
  return counters->journal_reaches;
}

}  // namespace engram
