// SPDX-License-Identifier: Apache-2.0
// The sections of a store, in order of slots and in the form in which memory has them, so that they
// can be placed:
//   store.rows     blocks of rows, each from a page's start on; the last ends with its last row
//   store.factors  a float32 per slot
// Both end with the highest slot that is stored. What lies between stored rows is zeros.
#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "core/vector_store.h"

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little, "sections are little-endian");

constexpr std::string_view kRows = "store.rows";
constexpr std::string_view kFactors = "store.factors";

/// What is handed to the writer at once.
constexpr std::size_t kPiece = std::size_t{1} << 20;

}  // namespace

std::size_t VectorStore::section_bytes(Slot end) const noexcept {
  return (end >> block_shift_) * block_bytes() + (end & block_mask_) * row_bytes_;
}

Status VectorStore::save(SectionWriter& writer, const SlotSet& stored) const {
  ENGRAM_TRY(save_rows(writer, stored));
  return save_factors(writer, stored);
}

Status VectorStore::save_rows(SectionWriter& writer, const SlotSet& stored) const {
  ENGRAM_TRY(writer.begin(kRows));
  const Slot end = stored.end();
  const std::size_t piece_rows = std::min(rows_per_block(), std::max(kPiece / row_bytes_, 1UL));
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
    if ((begin & block_mask_) == 0) ENGRAM_TRY(writer.append(padding));
  }
  return {};
}

Status VectorStore::save_factors(SectionWriter& writer, const SlotSet& stored) const {
  ENGRAM_TRY(writer.begin(kFactors));
  const Slot end = stored.end();
  std::vector<float> piece;
  for (Slot begin = 0; begin < end;) {
    const Slot stop =
        begin + static_cast<Slot>(std::min(kPiece / sizeof(float), std::size_t{end - begin}));
    piece.assign(stop - begin, 0.0F);
    stored.for_each(begin, stop, [&](Slot slot) { piece[slot - begin] = factors_[slot]; });
    ENGRAM_TRY(writer.append(std::as_bytes(std::span(piece))));
    begin = stop;
  }
  return {};
}

Status VectorStore::load(SectionReader& reader, const SlotSet& stored) {
  ENGRAM_ASSERT(slot_end() == 0 && block_count_ == 0);
  const Slot end = stored.end();
  ENGRAM_TRY(load_rows(reader, end));
  ENGRAM_TRY(factors_.adopt(reader, kFactors, end));
  for (Slot slot = end; slot-- > 0;) {
    if (!stored.contains(slot)) free_.push_back(slot);
  }
  slot_end_.store(end, std::memory_order_release);
  return {};
}

/// One mapping for all blocks, the last of which is whole in memory: what follows its last stored
/// row is free for new ones.
Status VectorStore::load_rows(SectionReader& reader, Slot end) {
  const auto bytes = reader.size(kRows);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes != section_bytes(end)) {
    return fail(ErrorCode::kDataLoss, "section '" + std::string(kRows) + "' has " +
                                          std::to_string(*bytes) + " bytes, " +
                                          std::to_string(section_bytes(end)) +
                                          " were expected for " + std::to_string(end) + " slots");
  }
  if (end == 0) return {};
  const std::size_t blocks = ((end - 1) >> block_shift_) + 1;
  auto memory = MappedMemory::map(blocks * block_bytes(), MappedMemory::Access::kReadWrite);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  ENGRAM_TRY(memory->place(reader, kRows));
  ENGRAM_TRY(blocks_.ensure(blocks));
  for (std::size_t i = 0; i < blocks; ++i) blocks_[i] = memory->data() + i * block_bytes();
  memory_.push_back(std::move(*memory));
  block_count_ = blocks;
  return {};
}

}  // namespace engram
