// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_file.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/reserved_memory.h"
#include "server/durability/checksum.h"

namespace engram {
namespace {

const std::atomic<bool> kNeverCancelled = false;

/// Keeps pages watched until their memory is given up.
class Watch final : public Placement {
 public:
  explicit Watch(std::shared_ptr<VerifiedPages> pages) : pages_(std::move(pages)) {}
  ~Watch() override { pages_->detach(); }

  bool fetch(std::span<const std::byte* const> rows, std::size_t row_bytes) noexcept override {
    return pages_->fetch(rows, row_bytes);
  }

 private:
  const std::shared_ptr<VerifiedPages> pages_;
};

Status outcome_of(const SnapshotSource& source, const SnapshotEntry& entry, int outcome) {
  if (outcome == 0) return {};
  return fail(ErrorCode::kDataLoss, describe_damage(source, entry, outcome));
}

}  // namespace

class SnapshotFile::Reader final : public SectionReader {
 public:
  Reader(const SnapshotFile& snapshot, SectionOwner owner) : snapshot_(snapshot), owner_(owner) {}

  /// What is large is placed, not copied: read once, it need not be in memory as a whole.
  Result<std::span<const std::byte>> section(std::string_view name) override {
    const auto found = snapshot_.find(owner_, name);
    if (!found) return tl::unexpected(found.error());
    const SnapshotEntry& entry = **found;
    const std::size_t bytes = padded(entry.length);
    Section& section = sections_[&entry];
    if (section.bytes == nullptr && bytes > kSnapshotBlockBytes) {
      auto memory = MappedMemory::map(bytes, MappedMemory::Access::kReadWrite);
      if (!memory) return tl::unexpected(std::move(memory.error()));
      ENGRAM_TRY(memory->place(*this, name));
      ENGRAM_TRY(snapshot_.verify(entry, Haste::kGreat, kNeverCancelled));
      section.placed = std::move(*memory);
      section.bytes = section.placed.data();
    } else if (section.bytes == nullptr) {
      std::byte* const copy = section.copied.reserve(bytes);
      ENGRAM_TRY(read_block(entry, {copy, bytes}));
      section.bytes = copy;
    }
    return std::span<const std::byte>(section.bytes, entry.length);
  }

  Result<std::size_t> size(std::string_view name) override {
    const auto entry = snapshot_.find(owner_, name);
    if (!entry) return tl::unexpected(entry.error());
    return (*entry)->length;
  }

  /// A single block is read and verified at once: to watch it would cost more.
  Result<std::unique_ptr<Placement>> place(std::string_view name, std::byte* address) override {
    const auto found = snapshot_.find(owner_, name);
    if (!found) return tl::unexpected(found.error());
    const SnapshotEntry& entry = **found;
    const std::size_t bytes = padded(entry.length);
    if (bytes <= kSnapshotBlockBytes) {
      ENGRAM_TRY(read_block(entry, {address, bytes}));
      return nullptr;
    }
    ENGRAM_TRY(snapshot_.source_->file->place(entry.offset, bytes, address));
    auto pages =
        VerifiedPages::close(snapshot_.source_, entry, address, snapshot_.soundness(owner_));
    if (!pages) return tl::unexpected(std::move(pages.error()));
    const std::lock_guard lock(snapshot_.mutex_);
    snapshot_.placed_[static_cast<std::size_t>(&entry - snapshot_.entries().data())].push_back(
        *pages);
    return std::make_unique<Watch>(std::move(*pages));
  }

 private:
  struct Section {
    AlignedBuffer copied;
    MappedMemory placed;
    const std::byte* bytes = nullptr;  // null: it has not been asked for
  };

  /// All of a section that is one block.
  Status read_block(const SnapshotEntry& entry, std::span<std::byte> bytes) const {
    const SnapshotSource& source = *snapshot_.source_;
    const int error = source.file->try_read(entry.offset, bytes);
    if (error != 0) return outcome_of(source, entry, error);
    const bool is_sound = bytes.empty() || crc32c(bytes) == entry.checksums.front();
    return outcome_of(source, entry, is_sound ? 0 : kDamagedBlock);
  }

  const SnapshotFile& snapshot_;
  const SectionOwner owner_;
  std::map<const SnapshotEntry*, Section> sections_;
};

Result<std::unique_ptr<SnapshotFile>> SnapshotFile::open(const StoreFiles& files, StoreId& id,
                                                         const std::string& path,
                                                         HeaderCheck header) {
  auto file = files.disk().open_for_reading(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto summary = read_summary(**file, id, header);
  if (!summary) return tl::unexpected(std::move(summary.error()));
  return std::unique_ptr<SnapshotFile>(
      new SnapshotFile({.file = std::move(*file), .summary = std::move(*summary)}));
}

SnapshotFile::SnapshotFile(SnapshotSource source)
    : source_(std::make_shared<const SnapshotSource>(std::move(source))),
      placed_(entries().size()) {
  for (std::size_t i = 0; i < entries().size(); ++i) {
    const SnapshotEntry& entry = entries()[i];
    places_.emplace(std::pair{entry.owner, std::string_view(entry.name)}, i);
  }
}

std::unique_ptr<SectionReader> SnapshotFile::sections_of(SectionOwner owner) const {
  return std::make_unique<Reader>(*this, owner);
}

std::shared_ptr<const Soundness> SnapshotFile::soundness_of(SectionOwner owner) const {
  return soundness(owner);
}

std::shared_ptr<Soundness> SnapshotFile::soundness(SectionOwner owner) const {
  const std::lock_guard lock(mutex_);
  auto& soundness = soundness_[owner];
  if (soundness == nullptr) soundness = std::make_shared<Soundness>(source_);
  return soundness;
}

Result<const SnapshotEntry*> SnapshotFile::find(SectionOwner owner, std::string_view name) const {
  const auto found = places_.find({owner, name});
  if (found == places_.end()) {
    return fail(ErrorCode::kDataLoss,
                source_->file->path() + " has no section '" + std::string(name) + "' of " +
                    (owner == 0 ? "the store" : "collection " + std::to_string(owner)));
  }
  return &entries()[found->second];
}

Status SnapshotFile::read(SectionOwner owner, std::string_view name, std::uint64_t offset,
                          std::span<std::byte> bytes) const {
  const auto found = find(owner, name);
  if (!found) return tl::unexpected(found.error());
  const SnapshotEntry& entry = **found;
  if (offset > entry.length || bytes.size() > entry.length - offset) {
    return fail(ErrorCode::kDataLoss, path() + " has no such part of section '" + entry.name + "'");
  }
  return source_->file->read(entry.offset + offset, bytes);
}

/// Where it is placed it is opened as well.
Status SnapshotFile::verify(const SnapshotEntry& entry, Haste haste,
                            const std::atomic<bool>& cancelled) const {
  std::vector<std::weak_ptr<VerifiedPages>> placed;
  {
    const std::lock_guard lock(mutex_);
    placed = placed_[static_cast<std::size_t>(&entry - entries().data())];
  }
  if (placed.empty()) return verify_bytes(entry, cancelled);
  int outcome = 0;
  for (const auto& place : placed) {
    const auto pages = place.lock();
    if (pages == nullptr) continue;
    if (const int found = pages->open_all(haste, cancelled); found != 0) outcome = found;
  }
  return outcome_of(*source_, entry, outcome);
}

Status SnapshotFile::read_sound_beginning(const SnapshotEntry& entry, const Take& take) const {
  for (std::size_t block = 0; block < entry.checksums.size(); ++block) {
    if (check_block(*source_, entry, block) != 0) break;
    const std::uint64_t begin = block * entry.block_bytes;
    ENGRAM_TRY(read_range(entry, begin, std::min(begin + entry.block_bytes, entry.length), take));
  }
  return {};
}

Status SnapshotFile::read_in_pieces(const SnapshotEntry& entry, const Take& take) const {
  return read_range(entry, 0, entry.length, take);
}

Status SnapshotFile::read_range(const SnapshotEntry& entry, std::uint64_t begin, std::uint64_t end,
                                const Take& take) const {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;
  std::vector<std::byte> piece;
  for (std::uint64_t at = begin; at < end; at += piece.size()) {
    piece.resize(std::min(kPieceBytes, end - at));
    ENGRAM_TRY(source_->file->read(entry.offset + at, piece));
    ENGRAM_TRY(take(piece));
  }
  return {};
}

Status SnapshotFile::verify_bytes(const SnapshotEntry& entry,
                                  const std::atomic<bool>& cancelled) const {
  for (std::size_t block = 0; block < entry.checksums.size() && !cancelled.load(); ++block) {
    ENGRAM_TRY(outcome_of(*source_, entry, check_block(*source_, entry, block)));
  }
  return {};
}

}  // namespace engram
