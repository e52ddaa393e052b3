// SPDX-License-Identifier: Apache-2.0
// A collection as a stream of bytes: what it was made from, and the sections of a snapshot. An RDB
// holds it, the AOF, DUMP and slot migration carry it, COPY and the digest go through it.
//
//   "EGRM", version (1 byte), length and bytes of the creation (a NewCollection, change.h), CRC-32C
//   for each section: length (1 byte, not 0) and bytes of its name; pieces, each with its length
//     (4 bytes, not 0); a length of 0; CRC-32C of name and pieces
//   a length of 0: the end
//
// It is cut into chunks anywhere. Numbers are little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/result.h"
#include "core/sections.h"

namespace engram::host {

/// Writes a stream in chunks of kChunkBytes or a little more. Not thread-safe.
class ValueWriter final : public SectionWriter {
 public:
  using TakeChunk = std::function<void(std::string_view chunk)>;
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

  ValueWriter(std::string_view creation, TakeChunk take);

  Status begin(std::string_view name) override;
  Status append(std::span<const std::byte> bytes) override;
  /// Gives the rest. To be called once, after the last section.
  void end();

 private:
  void end_section();
  void give_full_chunk();

  const TakeChunk take_;
  std::string chunk_;
  bool is_in_section_ = false;
  std::uint32_t checksum_ = 0;  // of the section so far
};

/// Takes a stream in chunks, and gives its sections back. The bytes are foreign. What it has in
/// memory is never more than twice what it was given. Not thread-safe.
class ValueReader final : public SectionReader {
 public:
  /// Errors: kDataLoss; the reader is of no use then.
  Status add(std::string_view chunk);
  /// After the last chunk. Errors: kDataLoss unless the stream is whole.
  Status finish() const;

  /// After finish().
  [[nodiscard]] const std::string& creation() const noexcept { return creation_; }
  /// What was given so far.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  Result<std::span<const std::byte>> section(std::string_view name) override;
  Result<std::size_t> size(std::string_view name) override;
  /// Copies, and forgets the section.
  Result<std::unique_ptr<Placement>> place(std::string_view name, std::byte* address) override;

 private:
  struct Section {
    std::unique_ptr<std::byte, FreeAligned> bytes;
    std::size_t size = 0;
  };
  enum class Expects : std::uint8_t { kHeader, kName, kPiece, kNothing };

  Result<bool> take_item();
  Result<bool> take_header();
  Result<bool> take_name();
  Result<bool> take_piece();
  Status end_section(std::uint32_t checksum);
  [[nodiscard]] std::string_view rest() const noexcept {
    return std::string_view(pending_).substr(taken_);
  }

  Expects expects_ = Expects::kHeader;
  std::string pending_;    // not taken yet, behind what has been
  std::size_t taken_ = 0;  // of pending_
  std::size_t bytes_ = 0;
  std::string creation_;
  std::string name_;                 // of the section that is being read
  std::vector<std::string> pieces_;  // of it
  std::uint32_t checksum_ = 0;       // of both
  std::map<std::string, Section, std::less<>> sections_;
};

}  // namespace engram::host
