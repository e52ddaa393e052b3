// SPDX-License-Identifier: Apache-2.0
#include "primitives/palimpsest/synapses.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "primitives/shared/signs/signs.h"

namespace engram::palimpsest {

int choose_bound(std::size_t dim) {
  return std::max(1, static_cast<int>(std::lround(0.35 * std::sqrt(static_cast<double>(dim)))));
}

Result<Synapses> Synapses::create(std::size_t dim, int bound) {
  auto values = FixedMemory::allocate(dim * dim);
  if (!values) return tl::unexpected(std::move(values.error()));
  auto others = FixedMemory::allocate(dim * dim);
  if (!others) return tl::unexpected(std::move(others.error()));
  return Synapses(dim, bound, std::move(*values), std::move(*others));
}

void Synapses::learn(const float* row) {
  learn(row, numbers(values_));
}

void Synapses::learn(const float* row, std::span<std::int8_t> values) {
  const auto bound = static_cast<std::int8_t>(bound_);
  const auto least = static_cast<std::int8_t>(-bound_);
  for (std::size_t i = 0; i < dim_; ++i) signs_[i] = recall::is_positive(row[i]) ? 1 : -1;
  for (std::size_t k = 0; k < dim_; ++k) {
    std::int8_t* const into = &values[k * dim_];
    const std::int8_t own = signs_[k];
    for (std::size_t l = 0; l < dim_; ++l) {
      const auto grown = static_cast<std::int8_t>(into[l] + own * signs_[l]);
      into[l] = std::clamp(grown, least, bound);
    }
  }
}

void Synapses::learn_anew(const VectorStore& store, std::span<const Slot> slots) {
  const auto row = [&](Slot slot) { return reinterpret_cast<const float*>(store.row(slot)); };
  const auto low = numbers(values_);
  const auto high = numbers(others_);
  // A walk between two borders meets every other one after some squares of their distance.
  const auto width = static_cast<std::size_t>(2 * bound_ + 1);
  for (std::size_t count = 2 * width * width; count < slots.size(); count *= 2) {
    std::fill(low.begin(), low.end(), static_cast<std::int8_t>(-bound_));
    std::fill(high.begin(), high.end(), static_cast<std::int8_t>(bound_));
    for (const Slot slot : slots.last(count)) {
      learn(row(slot), low);
      learn(row(slot), high);
    }
    if (std::equal(low.begin(), low.end(), high.begin())) return;
  }
  std::fill(low.begin(), low.end(), std::int8_t{0});
  for (const Slot slot : slots) learn(row(slot), low);
}

}  // namespace engram::palimpsest
