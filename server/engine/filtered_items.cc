// SPDX-License-Identifier: Apache-2.0
#include "server/engine/filtered_items.h"

#include <array>
#include <utility>

namespace engram {

const BoundFilter& FilteredItems::filter() const {
  std::call_once(is_bound_, [this] { bound_ = std::make_unique<BoundFilter>(filter_, columns_); });
  return *bound_;
}

const ItemFilter& FilteredItems::planned_filter() const {
  constexpr std::size_t kOften = 2;
  const BoundFilter& bound = filter();
  const std::lock_guard lock(mutex_);
  if (matching_ != nullptr || ++plans_ > kOften) return like_set_;
  return bound;
}

std::size_t FilteredItems::estimate() const {
  const std::lock_guard lock(mutex_);
  if (matching_ != nullptr) return matching_->size();
  if (!estimate_) estimate_ = estimate_from_sample();
  return *estimate_;
}

/// Items that follow each other are often alike, so the sample is spread: one from every so many
/// slots, at a place in them that varies.
std::size_t FilteredItems::estimate_from_sample() const {
  constexpr std::size_t kSample = 1024;
  const std::size_t end = items_->end();
  const std::size_t stride = end / kSample + 1;
  std::array<Slot, kSample> slots;
  std::array<bool, kSample> accepted;
  std::size_t count = 0;
  std::uint32_t random = 0x9e3779b9;
  for (std::size_t begin = 0; begin < end && count < kSample; begin += stride) {
    random = random * 1664525 + 1013904223;  // Numerical Recipes' generator
    const auto slot = static_cast<Slot>(begin + (std::uint64_t{random} * stride >> 32));
    if (items_->contains(slot)) slots[count++] = slot;
  }
  if (count == 0) return size();
  filter().select({slots.data(), count}, {accepted.data(), count});
  std::size_t matches = 0;
  for (std::size_t i = 0; i < count; ++i) matches += std::size_t{accepted[i]};
  return static_cast<std::size_t>(static_cast<double>(matches) / static_cast<double>(count) *
                                  static_cast<double>(size()));
}

Result<const SlotSet*> FilteredItems::matching() const {
  const BoundFilter& bound = filter();
  const std::lock_guard lock(mutex_);
  if (matching_ == nullptr) {
    auto found = std::make_unique<SlotSet>();
    ENGRAM_TRY(found->assign(
        *items_, [&](Slot first, std::uint64_t bits) { return bound.select_word(first, bits); }));
    matching_ = std::move(found);
  }
  return matching_.get();
}

}  // namespace engram
