// SPDX-License-Identifier: Apache-2.0
#include "core/vector_store.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "core/aligned_buffer.h"

namespace engram {
namespace {

const RowLayout& layout_of(const RowPages* pages) {
  return pages != nullptr && pages->has_rows() ? kGivenRows : kVectorRows;
}

}  // namespace

VectorStore::VectorStore(std::size_t dim, Metric metric, Element element,
                         std::unique_ptr<RowPages> pages)
    : dim_(dim),
      metric_(metric),
      element_(element),
      pages_(std::move(pages)),
      rows_(engram::row_bytes(element, metric, dim), layout_of(pages_.get()), pages_.get()) {}

Result<std::unique_ptr<VectorStore>> VectorStore::create(std::size_t dim, Metric metric,
                                                         Element element,
                                                         std::unique_ptr<RowPages> pages) {
  if (dim < 1 || dim > kMaxDimension) {
    return fail(ErrorCode::kInvalidArgument, "dimension must be between 1 and " +
                                                 std::to_string(kMaxDimension) + ", got " +
                                                 std::to_string(dim));
  }
  return std::unique_ptr<VectorStore>(new VectorStore(dim, metric, element, std::move(pages)));
}

/// Makes room for slots below `slot_end`, none of which is allocated thereby.
Status VectorStore::extend(Slot slot_end) {
  ENGRAM_TRY(rows_.ensure(slot_end));
  if (has_factors()) ENGRAM_TRY(factors_.ensure(slot_end));
  return free_.ensure(slot_end);
}

Result<Slot> VectorStore::allocate() {
  while (!released_.empty()) {
    const Slot slot = released_.back();
    released_.pop_back();
    if (free_.erase(slot)) return slot;
  }
  const Slot slot = slot_end();
  if (slot >= kMaxSlots) {
    return fail(ErrorCode::kResourceExhausted,
                "the index is full: it holds " + std::to_string(kMaxSlots) + " vectors");
  }
  ENGRAM_TRY(allocate(slot));
  return slot;
}

Status VectorStore::allocate(Slot slot) {
  ENGRAM_ASSERT(is_free(slot));
  if (free_.erase(slot)) return {};
  ENGRAM_TRY(extend(slot + 1));
  for (Slot unused = slot; unused-- > slot_end();) {
    free_.add(unused);
    released_.push_back(unused);
  }
  slot_end_.store(slot + 1, std::memory_order_release);
  return {};
}

bool VectorStore::is_free(Slot slot) const noexcept {
  return free_.contains(slot) || (slot >= slot_end() && slot < kMaxSlots);
}

void VectorStore::release(Slot slot) {
  ENGRAM_ASSERT(slot < slot_end());
  free_.add(slot);
  released_.push_back(slot);
  // Slots that were asked for by number are still listed here.
  constexpr std::size_t kSlack = 1024;
  if (released_.size() > 2 * free_.size() + kSlack) free_.list(released_);
}

void VectorStore::write(Slot slot, std::span<const float> vector) {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  if (pages_ != nullptr && pages_->has_rows()) return write_what_differs(slot, vector);
  set_factor(slot, encode(vector, rows_.row(slot)));
}

/// A page that is written to becomes a copy in memory.
void VectorStore::write_what_differs(Slot slot, std::span<const float> vector) {
  AlignedBuffer buffer;
  std::byte* const encoded = buffer.reserve(row_bytes());
  set_factor(slot, encode(vector, encoded));
  std::byte* const row = rows_.row(slot);
  if (std::memcmp(row, encoded, row_bytes()) != 0) std::memcpy(row, encoded, row_bytes());
}

void VectorStore::read(Slot slot, std::span<float> vector) const {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  if (element_ == Element::kF32) {
    decode_row(row(slot), factor(slot), vector);
    return;
  }
  decode_codes(element_, metric_, row(slot), vector);
  const float by = factor(slot);
  for (float& value : vector) value *= by;
}

bool VectorStore::holds(Slot slot, std::span<const float> vector) const {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  AlignedBuffer buffer;
  std::byte* const encoded = buffer.reserve(row_bytes());
  const float factor_of_vector = encode(vector, encoded);
  return std::memcmp(row(slot), encoded, row_bytes()) == 0 &&
         std::bit_cast<std::uint32_t>(factor(slot)) ==
             std::bit_cast<std::uint32_t>(factor_of_vector);
}

/// Writes the form in which `vector` is stored; returns its factor.
float VectorStore::encode(std::span<const float> vector, std::byte* row) const {
  if (element_ == Element::kF32) return encode_row(metric_, vector, row);
  AlignedBuffer buffer;
  std::byte* const values = buffer.reserve(engram::row_bytes(dim_));
  const float factor = encode_row(metric_, vector, values);
  encode_codes(element_, metric_, {reinterpret_cast<const float*>(values), dim_}, row);
  return factor;
}

std::size_t VectorStore::memory_bytes() const noexcept {
  const std::size_t slots = slot_end();
  const std::size_t in_memory = pages_ == nullptr ? row_bytes() : 0;
  return slots * in_memory + factors_.ready_bytes() + rows_.bookkeeping_bytes() +
         free_.memory_bytes() + released_.capacity() * sizeof(Slot);
}

}  // namespace engram
