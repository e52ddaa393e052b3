// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_file.h"

#include <string>
#include <utility>

#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"

namespace engram {

class SnapshotFile::Reader final : public SectionReader {
 public:
  Reader(const SnapshotFile& snapshot, SectionOwner owner) : snapshot_(snapshot), owner_(owner) {}

  Result<std::span<const std::byte>> section(std::string_view name) override {
    const auto place = snapshot_.find(owner_, name);
    if (!place) return tl::unexpected(place.error());
    ENGRAM_TRY(snapshot_.verify_once(*place));
    const Entry& entry = snapshot_.entries()[*place];
    return snapshot_.file_->bytes().subspan(entry.offset, entry.length);
  }

  Result<std::size_t> size(std::string_view name) override {
    const auto place = snapshot_.find(owner_, name);
    if (!place) return tl::unexpected(place.error());
    return snapshot_.entries()[*place].length;
  }

  Status place(std::string_view name, std::byte* address) override {
    const auto place = snapshot_.find(owner_, name);
    if (!place) return tl::unexpected(place.error());
    const Entry& entry = snapshot_.entries()[*place];
    return snapshot_.file_->place(entry.offset, padded(entry.length), address);
  }

 private:
  const SnapshotFile& snapshot_;
  const SectionOwner owner_;
};

Result<std::unique_ptr<SnapshotFile>> SnapshotFile::open(const StoreFiles& files, StoreId& id) {
  const std::string path = files.snapshot_path();
  auto file = files.disk().open_for_reading(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto summary = parse_snapshot(as_text((*file)->bytes()), id);
  if (!summary) return fail(summary.error().code, path + " " + summary.error().message);
  return std::unique_ptr<SnapshotFile>(
      new SnapshotFile(path, std::move(*file), std::move(*summary)));
}

SnapshotFile::SnapshotFile(std::string path, std::unique_ptr<ReadableFile> file,
                           SnapshotSummary summary)
    : path_(std::move(path)),
      file_(std::move(file)),
      summary_(std::move(summary)),
      verified_(summary_.entries.size()) {
  for (std::size_t i = 0; i < summary_.entries.size(); ++i) {
    const Entry& entry = summary_.entries[i];
    places_.emplace(std::pair{entry.owner, std::string_view(entry.name)}, i);
  }
}

Lsn SnapshotFile::replay_from() const noexcept {
  return summary_.replay_from;
}

std::int64_t SnapshotFile::begun_ms() const noexcept {
  return summary_.begun_ms;
}

std::uint64_t SnapshotFile::bytes() const noexcept {
  return file_->bytes().size();
}

const std::vector<SnapshotFile::Entry>& SnapshotFile::entries() const noexcept {
  return summary_.entries;
}

std::unique_ptr<SectionReader> SnapshotFile::sections_of(SectionOwner owner) const {
  return std::make_unique<Reader>(*this, owner);
}

Result<std::size_t> SnapshotFile::find(SectionOwner owner, std::string_view name) const {
  const auto found = places_.find({owner, name});
  if (found == places_.end()) {
    return fail(ErrorCode::kDataLoss,
                path_ + " has no section '" + std::string(name) + "' of " +
                    (owner == 0 ? "the store" : "collection " + std::to_string(owner)));
  }
  return found->second;
}

Status SnapshotFile::verify_once(std::size_t entry) const {
  if (verified_[entry].load(std::memory_order_relaxed) != 0) return {};
  ENGRAM_TRY(verify(summary_.entries[entry]));
  verified_[entry].store(1, std::memory_order_relaxed);
  return {};
}

Status SnapshotFile::verify(const Entry& entry) const {
  const auto bytes = file_->bytes().subspan(entry.offset, padded(entry.length));
  if (crc32c(bytes) == entry.checksum) return {};
  return fail(ErrorCode::kDataLoss, path_ + " is damaged in section '" + entry.name + "', " +
                                        std::to_string(entry.length) + " bytes at offset " +
                                        std::to_string(entry.offset));
}

}  // namespace engram
