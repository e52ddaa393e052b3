// SPDX-License-Identifier: Apache-2.0
// Synapses that cannot grow beyond a bound [Parisi1986]:
//
//   J_kl <- clamp(J_kl + x_k x_l, -bound, bound)
//
// item by item. What was learned lately stands out, and wears off what was learned before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/slot.h"
#include "core/vector_store.h"

namespace engram::palimpsest {

inline constexpr int kMaxBound = 126;

/// By which the most of the newest items are recalled, of all bounds: some .05 d (measured with
/// numpy for d = 100, 200 and 400).
int choose_bound(std::size_t dim);

/// One thread; when nobody writes, several may read.
class Synapses {
 public:
  /// Errors: kResourceExhausted.
  static Result<Synapses> create(std::size_t dim, int bound);

  [[nodiscard]] int bound() const noexcept { return bound_; }
  /// J with a diagonal, symmetric, [dim, dim].
  std::span<const std::int8_t> values() const noexcept { return numbers(values_); }
  [[nodiscard]] std::size_t memory_bytes() const noexcept { return 2 * values_.size(); }

  /// Learns one more row, [dim], by its signs.
  void learn(const float* row);

  /// Forgets all, then learns the rows of `slots` in their order. Only the newest are
  /// looked at: as soon as they leave the same synapses on whichever came before, by the least and
  /// by the greatest possible ones, nothing else matters.
  void learn_anew(const VectorStore& store, std::span<const Slot> slots);

 private:
  Synapses(std::size_t dim, int bound, FixedMemory values, FixedMemory others)
      : dim_(dim),
        bound_(bound),
        values_(std::move(values)),
        others_(std::move(others)),
        signs_(dim) {}

  std::span<std::int8_t> numbers(const FixedMemory& memory) const noexcept {
    return {reinterpret_cast<std::int8_t*>(memory.data()), dim_ * dim_};
  }
  void learn(const float* row, std::span<std::int8_t> values);

  std::size_t dim_;
  int bound_;
  FixedMemory values_;
  FixedMemory others_;  // for learn_anew()
  std::vector<std::int8_t> signs_;
};

}  // namespace engram::palimpsest
