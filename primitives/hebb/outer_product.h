// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/recall.h"
#include "core/scratch.h"
#include "primitives/shared/signs/signs.h"

namespace engram::hebb {

/// What an item leaves in the matrix of correlations: the outer product of its signs with
/// themselves, x x^T [dim, dim] row by row. A trace of
/// primitives/shared/superposed/superposed_memory.h.
class OuterProduct {
 public:
  using Number = std::int32_t;

  /// is_learned_from: a rule keeps what it made of the sum beside it, see LearnedCouplings.
  explicit OuterProduct(std::size_t dim, bool is_learned_from = false)
      : dim_(dim), is_learned_from_(is_learned_from) {}

  std::size_t count() const { return dim_ * dim_; }
  std::size_t memory_bytes() const {
    return is_learned_from_ ? count() * (sizeof(Number) + sizeof(double)) : 0;
  }

  void prepare(const float* row, Scratch& scratch) const {
    auto& signs = scratch.get<Signs>().values;
    signs.resize(dim_);
    for (std::size_t i = 0; i < dim_; ++i) {
      signs[i] = recall::is_positive(row[i]) ? 1U : ~0U;  // -1
    }
  }

  void apply(bool takes_away, std::span<std::uint32_t> sum, Scratch& scratch) const {
    const auto& signs = scratch.get<Signs>().values;
    for (std::size_t i = 0; i < dim_; ++i) {
      std::uint32_t* const into = &sum[i * dim_];
      const bool subtracts = (signs[i] == 1U) == takes_away;
      if (subtracts) {
        for (std::size_t k = 0; k < dim_; ++k) into[k] -= signs[k];
      } else {
        for (std::size_t k = 0; k < dim_; ++k) into[k] += signs[k];
      }
    }
  }

  std::vector<Fact> describe() const { return {}; }

 private:
  struct Signs {
    std::vector<std::uint32_t> values;
  };

  std::size_t dim_;
  bool is_learned_from_;
};

}  // namespace engram::hebb
