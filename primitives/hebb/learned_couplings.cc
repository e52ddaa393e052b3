// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/learned_couplings.h"

#include <cstring>
#include <utility>

namespace engram::hebb {

/// Compared as a whole: that costs less than a turn of all signs, and a sum among some of the items
/// is remembered as well as one of all.
bool Learned::is_of(std::span<const std::int32_t> sum) const noexcept {
  return std::memcmp(sum_.data(), sum.data(), sum.size_bytes()) == 0;
}

Result<std::shared_ptr<const Learned>> LearnedCouplings::of(Correlations::View& view,
                                                            std::size_t dim) const {
  std::shared_ptr<const Learned> known = last();
  bool is_known = false;
  if (known != nullptr) {
    ENGRAM_TRY(view.read([&](std::span<const std::int32_t> now) { is_known = known->is_of(now); }));
  }
  if (is_known) return known;
  auto copy = FixedMemory::allocate(dim * dim * sizeof(std::int32_t));
  if (!copy) return tl::unexpected(std::move(copy.error()));
  ENGRAM_TRY(view.read([&](std::span<const std::int32_t> now) {
    std::memcpy(copy->data(), now.data(), now.size_bytes());
  }));

  const std::lock_guard lock(learns_);
  const std::span sum(reinterpret_cast<const std::int32_t*>(copy->data()), dim * dim);
  known = last();
  if (known != nullptr && known->is_of(sum)) return known;
  auto couplings = learn(learning_, sum, dim);
  if (!couplings) return tl::unexpected(std::move(couplings.error()));
  known = std::make_shared<const Learned>(std::move(*copy), std::move(*couplings));
  const std::lock_guard last_lock(last_mutex_);
  last_ = known;
  return known;
}

}  // namespace engram::hebb
