// SPDX-License-Identifier: Apache-2.0
#include "core/row_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace engram {
namespace {

/// At most a huge page: large enough that a scan seldom changes blocks, small enough to be given
/// out lazily.
constexpr std::size_t kBlockBytes = kHugePage;

/// Blocks of one mapping: address space, of which memory is taken as blocks are.
constexpr std::size_t kChunkBlocks = 32;

/// What is handed to a writer at once.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

unsigned block_shift(std::size_t row_bytes) {
  const std::size_t rows = std::bit_floor(kBlockBytes / row_bytes);
  return static_cast<unsigned>(std::countr_zero(rows));
}

}  // namespace

RowBlocks::RowBlocks(std::size_t row_bytes)
    : row_bytes_(row_bytes), shift_(block_shift(row_bytes)), mask_((Slot{1} << shift_) - 1) {}

Status RowBlocks::grow(std::size_t slot_end) {
  const std::lock_guard lock(mutex_);
  while (slot_end > block_count_.load(std::memory_order_relaxed) << shift_) {
    ENGRAM_TRY(add_block());
  }
  return {};
}

Status RowBlocks::add_block() {
  const std::size_t count = block_count_.load(std::memory_order_relaxed);
  if (memory_.empty() || given_ + block_bytes() > memory_.back().size()) {
    ENGRAM_TRY(add_chunk());
  }
  ENGRAM_TRY(blocks_.ensure(count + 1));
  MappedMemory& chunk = memory_.back();
  const std::size_t end = given_ + block_bytes();
  ENGRAM_TRY(chunk.commit(std::min(chunk.size(), round_up(end, kHugePage))));
  blocks_[count] = chunk.data() + given_;
  given_ = end;
  block_count_.store(count + 1, std::memory_order_release);
  return {};
}

/// A block is seldom as long as a huge page, but the blocks of a chunk together are as long as
/// many.
Status RowBlocks::add_chunk() {
  const bool is_first = memory_.empty();
  const std::size_t blocks = is_first ? 1 : kChunkBlocks;
  auto memory = MappedMemory::map(blocks * block_bytes(), MappedMemory::Access::kNone);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  // The first block stays on small pages: a collection of ten vectors should not take 2 MiB.
  if (!is_first) memory->prefer_huge_pages();
  memory_.push_back(std::move(*memory));
  given_ = 0;
  return {};
}

std::size_t RowBlocks::section_bytes(Slot slot_end) const noexcept {
  return (slot_end >> shift_) * block_bytes() + (slot_end & mask_) * row_bytes_;
}

Status RowBlocks::save(SectionWriter& writer, std::string_view name, const SlotSet& stored) const {
  ENGRAM_TRY(writer.begin(name));
  const Slot end = stored.end();
  const std::size_t piece_rows =
      std::min(rows_per_block(), std::max(kPieceBytes / row_bytes_, 1UL));
  const std::vector<std::byte> padding(block_bytes() - rows_per_block() * row_bytes_);
  std::vector<std::byte> piece;
  for (Slot begin = 0; begin < end;) {
    const std::size_t count = std::min({piece_rows, std::size_t{end - begin}, run_length(begin)});
    piece.assign(count * row_bytes_, std::byte{0});
    stored.for_each_run(begin, begin + static_cast<Slot>(count), [&](Slot first, std::size_t run) {
      std::memcpy(&piece[(first - begin) * row_bytes_], row(first), run * row_bytes_);
    });
    ENGRAM_TRY(writer.append(piece));
    begin += static_cast<Slot>(count);
    if ((begin & mask_) == 0) ENGRAM_TRY(writer.append(padding));
  }
  return {};
}

/// One mapping for all blocks, the last of which is whole in memory: what follows its last stored
/// row is free for new ones.
Status RowBlocks::load(SectionReader& reader, std::string_view name, Slot slot_end) {
  ENGRAM_ASSERT(block_count_.load() == 0);
  const auto bytes = reader.size(name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes != section_bytes(slot_end)) {
    return fail(ErrorCode::kDataLoss,
                "section '" + std::string(name) + "' has " + std::to_string(*bytes) + " bytes, " +
                    std::to_string(section_bytes(slot_end)) + " were expected for " +
                    std::to_string(slot_end) + " slots");
  }
  if (slot_end == 0) return {};
  const std::size_t blocks = ((slot_end - 1) >> shift_) + 1;
  auto memory = MappedMemory::map(blocks * block_bytes(), MappedMemory::Access::kReadWrite);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  ENGRAM_TRY(memory->place(reader, name));
  ENGRAM_TRY(blocks_.ensure(blocks));
  for (std::size_t i = 0; i < blocks; ++i) blocks_[i] = memory->data() + i * block_bytes();
  given_ = memory->size();
  memory_.push_back(std::move(*memory));
  block_count_.store(blocks, std::memory_order_release);
  return {};
}

}  // namespace engram
