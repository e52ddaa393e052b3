// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "core/reserved_memory.h"
#include "core/result.h"
#include "primitives/hebb/learning_rule.h"
#include "primitives/hebb/outer_product.h"
#include "primitives/shared/superposed/superposed_memory.h"

namespace engram::hebb {

using Correlations = recall::SuperposedMemory<OuterProduct>;

/// Couplings and the sum that they were learned from.
class Learned {
 public:
  Learned(FixedMemory sum, FixedMemory couplings)
      : sum_(std::move(sum)), couplings_(std::move(couplings)) {}

  /// [dim, dim]
  std::span<const double> couplings() const noexcept {
    return {reinterpret_cast<const double*>(couplings_.data()), couplings_.size() / sizeof(double)};
  }
  [[nodiscard]] bool is_of(std::span<const std::int32_t> sum) const noexcept;

 private:
  FixedMemory sum_;
  FixedMemory couplings_;
};

/// Learns when somebody recalls and the items are others than the last time. Threads: any; those
/// that come while one learns wait for what it learns.
class LearnedCouplings {
 public:
  explicit LearnedCouplings(const Learning& learning) : learning_(learning) {}

  [[nodiscard]] const Learning& learning() const noexcept { return learning_; }

  /// Of what `view` shows. Errors: kResourceExhausted.
  Result<std::shared_ptr<const Learned>> of(Correlations::View& view, std::size_t dim) const;

 private:
  std::shared_ptr<const Learned> last() const {
    const std::lock_guard lock(last_mutex_);
    return last_;
  }

  const Learning learning_;
  mutable std::mutex learns_;
  mutable std::mutex last_mutex_;  // guards last_
  mutable std::shared_ptr<const Learned> last_;
};

}  // namespace engram::hebb
