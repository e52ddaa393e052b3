// SPDX-License-Identifier: Apache-2.0
// The snapshot as a file of sections; what they hold is said by those who write them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/sections.h"
#include "server/durability/file_system.h"
#include "server/durability/snapshot_format.h"
#include "server/durability/soundness.h"
#include "server/durability/store_files.h"
#include "server/durability/verified_pages.h"

namespace engram {

/// Whose section it is: 0 is the store's, otherwise a collection's id.
using SectionOwner = std::uint64_t;

/// Writes a snapshot beside the old one. Destroyed before publish(), it leaves nothing behind.
/// One thread at a time. Errors: kNoSpace, kIo.
class SnapshotWriter final : public SectionWriter {
 public:
  static Result<std::unique_ptr<SnapshotWriter>> create(const StoreFiles& files);
  ~SnapshotWriter() override;

  /// Whose the sections are that are begun from now on.
  void set_owner(SectionOwner owner);

  Status begin(std::string_view name) override;
  Status append(std::span<const std::byte> bytes) override;

  /// Completes the file, puts it in the place of the old one, and syncs. `replay_from`: the first
  /// frame of the journal that a reader has to replay. Returns its size in bytes.
  Result<std::uint64_t> publish(Lsn replay_from, std::int64_t begun_ms);

 private:
  SnapshotWriter(const StoreFiles& files, std::unique_ptr<WritableFile> file);

  Status end_section();
  Status write_out(std::span<const std::byte> bytes);
  Status flush();

  const StoreFiles& files_;
  std::unique_ptr<WritableFile> file_;
  SectionOwner owner_ = 0;
  bool in_section_ = false;
  std::vector<SnapshotEntry> entries_;  // the last is being written if in_section_
  BlockChecksums checksums_;            // of the section that is being written
  std::string buffer_;                  // of the section that is being written
  std::uint64_t synced_bytes_ = 0;
};

/// A snapshot that is open. Any thread. What was placed stays when it is closed.
class SnapshotFile {
 public:
  /// Checks header, footer and table of contents. `id` is the store's; all zero: it is taken from
  /// the file. Errors: kNotFound if there is none; kDataLoss for damage; kUnsupported for a newer
  /// version or another store; kIo.
  static Result<std::unique_ptr<SnapshotFile>> open(const StoreFiles& files, StoreId& id) {
    return open(files, id, files.snapshot_path());
  }
  /// One of another name.
  static Result<std::unique_ptr<SnapshotFile>> open(const StoreFiles& files, StoreId& id,
                                                    const std::string& path,
                                                    HeaderCheck header = HeaderCheck::kStrict);

  /// What is read of it from now on comes from the disk, as far as the system allows.
  void forget_cached() const noexcept { source_->file->forget_cached(); }

  [[nodiscard]] Lsn replay_from() const noexcept { return source_->summary.replay_from; }
  [[nodiscard]] std::int64_t begun_ms() const noexcept { return source_->summary.begun_ms; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return source_->file->size(); }

  /// The sections of one owner. Valid while this file is open.
  [[nodiscard]] std::unique_ptr<SectionReader> sections_of(SectionOwner owner) const;

  /// Of what was read and placed of one owner. The same for every call, and outlives the file.
  [[nodiscard]] std::shared_ptr<const Soundness> soundness_of(SectionOwner owner) const;

  [[nodiscard]] const std::vector<SnapshotEntry>& entries() const noexcept {
    return source_->summary.entries;
  }

  [[nodiscard]] const std::string& path() const noexcept { return source_->file->path(); }

  /// Reads a part of a section, which is not verified. Errors: kDataLoss if there is no such part;
  /// kIo.
  [[nodiscard]] Status read(SectionOwner owner, std::string_view name, std::uint64_t offset,
                            std::span<std::byte> bytes) const;

  /// Compares a section's checksums with its bytes, and opens it where it was placed. Ends early
  /// when `cancelled`. Errors: kDataLoss naming file, section and place.
  [[nodiscard]] Status verify(const SnapshotEntry& entry,
                              const std::atomic<bool>& cancelled) const {
    return verify(entry, Haste::kNone, cancelled);
  }

  /// Gives `take` all bytes of a section in turn, not verified. Errors: kIo; those of `take`.
  using Take = std::function<Status(std::span<const std::byte>)>;
  [[nodiscard]] Status read_in_pieces(const SnapshotEntry& entry, const Take& take) const;

  /// The same with those before the first block that is damaged or cannot be read.
  [[nodiscard]] Status read_sound_beginning(const SnapshotEntry& entry, const Take& take) const;

 private:
  class Reader;

  explicit SnapshotFile(SnapshotSource source);

  [[nodiscard]] Result<const SnapshotEntry*> find(SectionOwner owner, std::string_view name) const;
  [[nodiscard]] Status read_range(const SnapshotEntry& entry, std::uint64_t begin,
                                  std::uint64_t end, const Take& take) const;
  [[nodiscard]] Status verify(const SnapshotEntry& entry, Haste haste,
                              const std::atomic<bool>& cancelled) const;
  [[nodiscard]] Status verify_bytes(const SnapshotEntry& entry,
                                    const std::atomic<bool>& cancelled) const;
  [[nodiscard]] std::shared_ptr<Soundness> soundness(SectionOwner owner) const;

  const std::shared_ptr<const SnapshotSource> source_;
  std::map<std::pair<SectionOwner, std::string_view>, std::size_t> places_;  // in entries()
  mutable std::mutex mutex_;                                                 // guards what follows
  mutable std::map<SectionOwner, std::shared_ptr<Soundness>> soundness_;
  mutable std::vector<std::vector<std::weak_ptr<VerifiedPages>>> placed_;  // by entry
};

}  // namespace engram
