// SPDX-License-Identifier: Apache-2.0
#include "server/durability/soundness.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "server/durability/checksum.h"

namespace engram {

int check_block(const SnapshotSource& source, const SnapshotEntry& entry,
                std::size_t block) noexcept {
  std::array<std::byte, std::size_t{32} << 10> piece;  // a signal handler has the stack only
  const std::uint64_t begin = block * entry.block_bytes;
  std::uint64_t left = std::min(entry.block_bytes, padded(entry.length) - begin);
  std::uint64_t offset = entry.offset + begin;
  std::uint32_t checksum = 0;
  while (left > 0) {
    const auto bytes = std::span(piece).first(std::min<std::uint64_t>(left, piece.size()));
    if (const int error = source.file->try_read(offset, bytes); error != 0) return error;
    checksum = crc32c(bytes, checksum);
    offset += bytes.size();
    left -= bytes.size();
  }
  return checksum == entry.checksums[block] ? 0 : kDamagedBlock;
}

std::string describe_damage(const SnapshotSource& source, const SnapshotEntry& entry, int outcome) {
  std::string text = source.file->path();
  text += outcome == kDamagedBlock ? " is damaged" : " cannot be read";
  text += " in section '" + entry.name + "', " + std::to_string(entry.length) +
          " bytes at offset " + std::to_string(entry.offset);
  if (outcome == kDamagedBlock) return text;
  return text + (outcome == ENODATA ? ": the file has become shorter"
                                    : std::string(": ") + std::strerror(outcome));
}

void Soundness::condemn(const SnapshotEntry& entry, int outcome) noexcept {
  const auto number = static_cast<std::uint64_t>(&entry - source_->summary.entries.data()) + 1;
  std::uint64_t none = 0;
  verdict_.compare_exchange_strong(none, number << 32 | static_cast<std::uint32_t>(outcome));
}

std::string Soundness::reason() const {
  const std::uint64_t verdict = verdict_.load();
  if (verdict == 0) return {};
  return describe_damage(*source_, source_->summary.entries[(verdict >> 32) - 1],
                         static_cast<int>(static_cast<std::uint32_t>(verdict)));
}

}  // namespace engram
