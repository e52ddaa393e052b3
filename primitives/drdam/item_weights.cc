// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/item_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "primitives/shared/rows/rows.h"
#include "primitives/shared/separation/separation.h"
#include "primitives/shared/separation/softmax.h"

namespace engram::drdam {

bool ItemWeights::weigh(const float* state, const float* mask) {
  const auto& slots = buffers_.slots;
  auto& squares = buffers_.squares;
  auto& logits = buffers_.logits;
  auto& weights = buffers_.weights;
  squares.resize(slots.size());
  recall::for_each_piece(store_, slots, buffers_.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t first) {
                           algebra_.weighted_squares(
                               state, mask, rows, std::span(squares).subspan(first, rows.size()));
                         });
  logits.resize(slots.size());
  weights.resize(slots.size());
  bool has_any = false;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const bool is_sound = std::isfinite(squares[i]);
    logits[i] = is_sound ? -0.5 * beta_ * squares[i] : -std::numeric_limits<double>::infinity();
    has_any |= is_sound;
  }
  if (!has_any) return false;
  const double greatest = *std::max_element(logits.begin(), logits.end());
  join_ties(logits, greatest, kSimilarityError * std::abs(greatest));
  kernels_ = std::exp(softmax(logits, weights));
  return true;
}

}  // namespace engram::drdam
