// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <span>

namespace engram {

/// Logits above `threshold` count, and the first `at_threshold` of those that equal it.
struct SoftmaxCut {
  double threshold = -std::numeric_limits<double>::infinity();
  std::size_t at_threshold = 0;
};

/// p_i = exp(l_i - W*) with W* = ln sum exp(l_i), of the logits that count; as
/// Separation::separate().
///
/// Logits more than 37 below the greatest weigh exactly 0: each is less than 2^-53 of the sum,
/// which changes W* by less than n 2^-53.
double softmax(std::span<const double> logits, std::span<double> weights, SoftmaxCut cut = {});

}  // namespace engram
