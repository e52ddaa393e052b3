// SPDX-License-Identifier: Apache-2.0
// Separations: maps from logits to weights, the step by which an associative memory tells the item
// that it means from the others. Each is p = grad W*(l), the maximiser over the simplex of
//
//   W*(l) = max over p of  p . l - W(p),
//
// where W is the negative Tsallis entropy (sum p^alpha - 1) / (alpha (alpha - 1)), or at alpha = 1
// the limit, sum p ln p. So W of a one-hot p is 0, and W* of different alphas can be compared. (Our
// constant for sparsemax differs from the paper's, whose W is sum p^2 / 2.)
//
//   softmax    alpha = 1: p_i = exp(l_i - W*), W* = ln sum exp(l_i)
//   sparsemax  alpha = 2: [Martins2016, Alg. 1]
//   entmax15   alpha = 1.5: [Peters2019, Alg. 2]
//   entmax     any alpha in (1, 4]: [Peters2019, Alg. 1]
//   topk       softmax of the k greatest logits; W* is theirs, and no function of all logits whose
//              gradient this is everywhere
//
// Above alpha = 1 weights are [(alpha - 1) l_i - tau]+ ^ (1 / (alpha - 1)) for the tau that makes
// their sum 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace engram {

enum class Separation : std::uint8_t { kSoftmax, kSparsemax, kEntmax15, kEntmax, kTopK };

/// In the order of the enum.
inline constexpr std::string_view kSeparationNames[] = {"softmax", "sparsemax", "entmax15",
                                                        "entmax", "topk"};

struct SeparationRule {
  Separation kind = Separation::kSoftmax;
  double alpha = 1.5;  ///< of entmax alone: in (1, 4]
  std::size_t k = 8;   ///< of topk alone: at least 1
};

/// The m such that weights are one-hot if and only if the greatest logit leads all others by at
/// least m: 1 / (alpha - 1), which is 1 for sparsemax and 2 for entmax15. Softmax has none, nor has
/// topk: infinity; but topk of one is always one-hot: 0.
double separation_margin(const SeparationRule& rule) noexcept;

/// What separate() keeps between calls (in a Scratch), so that it seldom allocates.
struct SeparationBuffers {
  std::vector<double> values;
};

/// Writes the weights of `logits` and returns W*(logits).
///
/// logits, weights: [n], n >= 1, apart. A logit may be -infinity: its weight is exactly 0. At least
/// one is finite; none is NaN or +infinity. Weights are not negative and sum to 1 within n 2^-52.
/// The same logits give the same bits on one machine: sums run in the order of the indices. Equal
/// logits have equal weights, except that topk prefers lower indices.
///
/// Softmax and topk give exactly 0 to logits more than 37 below the greatest: each is less than
/// 2^-53 of the sum, which changes W* by less than n 2^-53.
///
/// Cost: O(n). The sparse ones spend more only on candidates, the c logits less than the margin
/// below the greatest: O(c + s log c) if s of them have weight, entmax O(c) powers some 60 times.
/// Any thread, with buffers of its own.
double separate(const SeparationRule& rule, std::span<const double> logits,
                std::span<double> weights, SeparationBuffers& buffers);

/// 1 / sum p^2: how many items share the weight, from 1 (one-hot) to n (uniform). weights: [n], on
/// the simplex. Any thread.
double effective_count(std::span<const double> weights) noexcept;

/// -sum p ln p, in nats: from 0 (one-hot) to ln n (uniform). weights: [n], on the simplex. Any
/// thread.
double entropy(std::span<const double> weights) noexcept;

}  // namespace engram
