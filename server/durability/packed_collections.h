// SPDX-License-Identifier: Apache-2.0
// Small collections share sections of a snapshot. A section takes a page and an entry of the table
// of contents, and a collection has six to eleven: a hundred thousand of ten vectors each would be
// a file of three gigabytes, and seconds of reading its table. FORMAT.md has the layout.
//
// The rule of quarantine holds: each has a checksum of its own, beside those of the section, so
// damage costs that one alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "core/sections.h"
#include "server/durability/snapshot_file.h"

namespace engram {

/// Whose the shared sections are: no collection's.
inline constexpr SectionOwner kPackOwner = ~SectionOwner{0};

/// Where a collection lies in a shared section.
struct PackedPlace {
  std::uint32_t pack;
  std::uint32_t length;
  std::uint64_t offset;
  std::uint32_t checksum;
};

/// Writes collections into a snapshot. One thread.
class CollectionPacker {
 public:
  /// packs: whether small ones share sections. Borrows `writer`.
  CollectionPacker(SnapshotWriter& writer, bool packs) : writer_(writer), packs_(packs) {}

  /// Calls `save`, which writes the sections of the collection `id`. Errors: those of `save`, and
  /// of the snapshot's writer.
  Status add(SectionOwner id, const std::function<Status(SectionWriter&)>& save);

  /// Writes a collection that was read from the shared sections of another snapshot.
  Status add_body(SectionOwner id, const std::string& body) { return pack(id, body); }

  /// After the last: writes where they lie, as a section of the store. Errors: the writer's.
  Status finish();

 private:
  Status pack(SectionOwner id, const std::string& body);

  SnapshotWriter& writer_;
  const bool packs_;
  std::string places_;  // as finish() writes them
  std::uint32_t pack_count_ = 0;
  std::uint64_t pack_bytes_ = 0;  // of the last
  bool in_pack_ = false;          // the section that is being written is the last pack
};

/// Finds collections in the shared sections of a snapshot. Any thread.
class PackedCollections {
 public:
  /// Errors: kDataLoss if the section that says where they lie is damaged.
  static Result<PackedCollections> read(const SnapshotFile& snapshot);

  /// The sections of a collection, wherever they are. Valid while the snapshot is open, and this.
  [[nodiscard]] std::unique_ptr<SectionReader> sections_of(SectionOwner id) const;

  /// Those that lie in shared sections.
  [[nodiscard]] std::vector<SectionOwner> ids() const;

  /// The bytes of one that lies in a shared section. Errors: kNotFound if it does not; kDataLoss.
  [[nodiscard]] Result<std::string> body(SectionOwner id) const;

  /// How many lie in shared sections.
  [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }

  /// Compares all checksums. Errors: kDataLoss naming the collection.
  [[nodiscard]] Status verify() const;

 private:
  class Reader;

  explicit PackedCollections(const SnapshotFile& snapshot) : snapshot_(&snapshot) {}

  const SnapshotFile* snapshot_;
  std::unordered_map<SectionOwner, PackedPlace> places_;
};

}  // namespace engram
