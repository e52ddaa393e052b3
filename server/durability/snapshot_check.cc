// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_check.h"

#include <atomic>
#include <string>
#include <string_view>
#include <variant>

#include "server/durability/change.h"
#include "server/durability/little_endian.h"
#include "server/durability/packed_collections.h"

namespace engram {
namespace {

/// How many changes a section of the store holds, all of which are of type T.
template <class T>
Result<std::uint64_t> count_changes(SectionReader& sections, std::string_view name) {
  const auto section = sections.section(name);
  if (!section) return tl::unexpected(section.error());
  std::string_view left = as_text(*section);
  std::uint64_t count = 0;
  for (; !left.empty(); ++count) {
    const auto change = decode(left);
    if (!change || !std::holds_alternative<T>(*change)) {
      return fail(ErrorCode::kDataLoss, "entry " + std::to_string(count) + " of section '" +
                                            std::string(name) + "' makes no sense" +
                                            (change ? "" : ": " + change.error().message));
    }
  }
  return count;
}

}  // namespace

Result<SnapshotContents> examine_snapshot(const SnapshotFile& snapshot) {
  const std::atomic<bool> cancelled = false;
  for (const SnapshotEntry& entry : snapshot.entries()) {
    ENGRAM_TRY(snapshot.verify(entry, cancelled));
  }
  const auto packed = PackedCollections::read(snapshot);
  if (!packed) return tl::unexpected(packed.error());
  ENGRAM_TRY(packed->verify());
  const auto sections = snapshot.sections_of(kStoreOwner);
  const auto strings = count_changes<SetString>(*sections, kStringsSection);
  if (!strings) return tl::unexpected(strings.error());
  const auto collections = count_changes<NewCollection>(*sections, kCollectionsSection);
  if (!collections) return tl::unexpected(collections.error());
  const auto counters = read_counters(*sections);
  if (!counters) return tl::unexpected(counters.error());
  return SnapshotContents{*strings, *collections, *counters};
}

}  // namespace engram
