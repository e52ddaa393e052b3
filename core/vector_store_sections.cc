// SPDX-License-Identifier: Apache-2.0
// The sections of a store, in order of slots and in the form in which memory has them, so that they
// can be placed:
//   store.rows     see RowBlocks::save; of whole cache lines
//   store.codes    the same where rows are codes and no whole lines; older files have these padded,
//                  in store.rows
//   store.factors  a float32 per slot
// Both end with the highest slot that is stored. What lies between stored rows is zeros.
#include <algorithm>
#include <bit>
#include <span>
#include <vector>

#include "core/vector_store.h"

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little, "sections are little-endian");

constexpr std::string_view kRows = "store.rows";
constexpr std::string_view kCodes = "store.codes";
constexpr std::string_view kFactors = "store.factors";

/// What is handed to the writer at once.
constexpr std::size_t kSectionPieceBytes = std::size_t{1} << 20;

}  // namespace

Status VectorStore::save(SectionWriter& writer, const SlotSet& stored) const {
  const bool are_whole = row_bytes() == whole_line_row_bytes(element_, metric_, dim_);
  ENGRAM_TRY(rows_.save(writer, are_whole ? kRows : kCodes, stored));
  return save_factors(writer, stored);
}

Status VectorStore::save_factors(SectionWriter& writer, const SlotSet& stored) const {
  ENGRAM_TRY(writer.begin(kFactors));
  const Slot end = stored.end();
  std::vector<float> piece;
  for (Slot begin = 0; begin < end;) {
    const Slot stop = begin + static_cast<Slot>(std::min(kSectionPieceBytes / sizeof(float),
                                                         std::size_t{end - begin}));
    piece.assign(stop - begin, 0.0F);
    stored.for_each(begin, stop, [&](Slot slot) { piece[slot - begin] = factor(slot); });
    ENGRAM_TRY(writer.append(std::as_bytes(std::span(piece))));
    begin = stop;
  }
  return {};
}

Status VectorStore::load_rows(SectionReader& reader, Slot end) {
  const std::size_t whole_lines = whole_line_row_bytes(element_, metric_, dim_);
  if (row_bytes() == whole_lines) return rows_.load(reader, kRows, end);
  if (reader.size(kCodes)) return rows_.load(reader, kCodes, end);
  return rows_.load_wider(reader, kRows, end, whole_lines, header_bytes(metric_));
}

/// Where all are 1 they are read to be verified, as a start does with all that it does not place.
Status VectorStore::load_factors(SectionReader& reader, Slot end) {
  if (has_factors()) return factors_.adopt(reader, kFactors, end);
  GrowingArray<float> ones;
  return ones.adopt(reader, kFactors, end);
}

Status VectorStore::load(SectionReader& reader, const SlotSet& stored) {
  ENGRAM_ASSERT(slot_end() == 0);
  const Slot end = stored.end();
  ENGRAM_TRY(load_rows(reader, end));
  ENGRAM_TRY(load_factors(reader, end));
  ENGRAM_TRY(free_.ensure(end));
  for (Slot slot = end; slot-- > 0;) {
    if (stored.contains(slot)) continue;
    free_.add(slot);
    released_.push_back(slot);
  }
  slot_end_.store(end, std::memory_order_release);
  return {};
}

}  // namespace engram
