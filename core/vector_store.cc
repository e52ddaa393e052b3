// SPDX-License-Identifier: Apache-2.0
#include "core/vector_store.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/aligned_buffer.h"

namespace engram {
namespace {

/// A huge page: large enough that a scan seldom changes blocks, small enough to be given out
/// lazily.
constexpr std::size_t kBlockBytes = std::size_t{2} << 20;

unsigned block_shift(std::size_t row_bytes) {
  const std::size_t rows = std::bit_floor(kBlockBytes / row_bytes);
  return static_cast<unsigned>(std::countr_zero(rows));
}

}  // namespace

VectorStore::VectorStore(std::size_t dim, Metric metric)
    : dim_(dim),
      row_bytes_(engram::row_bytes(dim)),
      metric_(metric),
      block_shift_(block_shift(row_bytes_)),
      block_mask_((Slot{1} << block_shift_) - 1) {}

Result<std::unique_ptr<VectorStore>> VectorStore::create(std::size_t dim, Metric metric) {
  if (dim < 1 || dim > kMaxDimension) {
    return fail(ErrorCode::kInvalidArgument, "dimension must be between 1 and " +
                                                 std::to_string(kMaxDimension) + ", got " +
                                                 std::to_string(dim));
  }
  std::unique_ptr<VectorStore> store(new VectorStore(dim, metric));
  ENGRAM_TRY(store->reserve_address_space());
  return store;
}

Status VectorStore::reserve_address_space() {
  ENGRAM_TRY(blocks_.reserve(kMaxSlots >> block_shift_));
  return factors_.reserve(kMaxSlots);
}

Status VectorStore::add_block() {
  auto memory = MappedMemory::map(block_bytes(), MappedMemory::Access::kReadWrite);
  if (!memory) return tl::unexpected(std::move(memory.error()));
  // The first block stays on small pages: a collection of ten vectors should not take 2 MiB.
  if (block_count_ > 0) memory->prefer_huge_pages();
  ENGRAM_TRY(blocks_.ensure(block_count_ + 1));
  blocks_[block_count_++] = memory->data();
  memory_.push_back(std::move(*memory));
  return {};
}

Result<Slot> VectorStore::allocate() {
  if (!free_.empty()) {
    const Slot slot = free_.back();
    free_.pop_back();
    return slot;
  }
  const Slot slot = slot_end_.load(std::memory_order_relaxed);
  if (slot >= kMaxSlots) {
    return fail(ErrorCode::kResourceExhausted,
                "the index is full: it holds " + std::to_string(kMaxSlots) + " vectors");
  }
  if ((slot >> block_shift_) >= block_count_) ENGRAM_TRY(add_block());
  ENGRAM_TRY(factors_.ensure(std::size_t{slot} + 1));
  slot_end_.store(slot + 1, std::memory_order_release);
  return slot;
}

void VectorStore::release(Slot slot) {
  ENGRAM_ASSERT(slot < slot_end());
  free_.push_back(slot);
}

void VectorStore::write(Slot slot, std::span<const float> vector) {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  std::byte* const row = blocks_[slot >> block_shift_] + (slot & block_mask_) * row_bytes_;
  factors_[slot] = encode_row(metric_, vector, row);
}

void VectorStore::read(Slot slot, std::span<float> vector) const {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  decode_row(row(slot), factors_[slot], vector);
}

bool VectorStore::holds(Slot slot, std::span<const float> vector) const {
  ENGRAM_ASSERT(vector.size() == dim_ && slot < slot_end());
  AlignedBuffer buffer;
  std::byte* const encoded = buffer.reserve(row_bytes_);
  const float factor = encode_row(metric_, vector, encoded);
  return std::memcmp(row(slot), encoded, row_bytes_) == 0 &&
         std::bit_cast<std::uint32_t>(factors_[slot]) == std::bit_cast<std::uint32_t>(factor);
}

std::size_t VectorStore::memory_bytes() const noexcept {
  const std::size_t slots = slot_end();
  return slots * (row_bytes_ + sizeof(float)) + block_count_ * sizeof(std::byte*) +
         free_.capacity() * sizeof(Slot);
}

}  // namespace engram
