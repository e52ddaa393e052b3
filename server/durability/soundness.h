// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "server/durability/file_system.h"
#include "server/durability/snapshot_format.h"

namespace engram {

/// A snapshot that was opened: what its sections are read and placed from.
struct SnapshotSource {
  std::unique_ptr<ReadableFile> file;
  SnapshotSummary summary;
};

/// Compares one block of a section with its checksum. Returns 0, the system's number of the error
/// that kept it from being read, or kDamagedBlock. Any thread; allocates nothing.
int check_block(const SnapshotSource& source, const SnapshotEntry& entry,
                std::size_t block) noexcept;
inline constexpr int kDamagedBlock = -1;

/// "/data/snapshot.engram is damaged in section 'keys', ...", for an outcome of check_block().
std::string describe_damage(const SnapshotSource& source, const SnapshotEntry& entry, int outcome);

/// Whether all that was read and placed of one owner's sections was what had been written. It holds
/// until a block turns out to be damaged or unreadable, and then never again. To be asked after
/// bytes were used, and before anything that depends on them is answered or kept: the thread that
/// met the damage has noted it by then.
///
/// Threads: any; condemn() also from a signal handler.
class Soundness {
 public:
  explicit Soundness(std::shared_ptr<const SnapshotSource> source) : source_(std::move(source)) {}

  [[nodiscard]] bool holds() const noexcept {
    return verdict_.load(std::memory_order_relaxed) == 0;
  }

  /// The first outcome is kept; it is not 0.
  void condemn(const SnapshotEntry& entry, int outcome) noexcept;

  /// What and where; empty if it holds.
  [[nodiscard]] std::string reason() const;

 private:
  const std::shared_ptr<const SnapshotSource> source_;
  std::atomic<std::uint64_t> verdict_ = 0;  // number of the entry, from 1, and outcome
};

}  // namespace engram
