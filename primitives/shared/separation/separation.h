// SPDX-License-Identifier: Apache-2.0
// Separations: maps from logits to weights, by which an associative memory tells the item that it
// means from the others. Each is p = grad W*(l), the maximiser over the simplex of
//
//   W*(l) = max over p of  p . l - W(p),
//
// so W*, the convex conjugate of W, is all that the energy of a network needs. A file adds one:
//
//   class Normmax final : public Separation { ... };
//   const SeparationRegistration kNormmax({.name = "normmax", ...});
//
// From its name come the choice of the option SEP, the help of VPRIMITIVES and the property tests.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/options.h"

namespace engram {

/// How far rounding may carry a float32 similarity, relative to what the magnitudes of its terms
/// add up to. Under cosine they add up to at most 1, under l2 to the similarity itself.
inline constexpr double kSimilarityError = 0x1p-22;

/// Raises to `greatest`, the greatest of `logits`, those that are at most `error` below it: nobody
/// knows which of them is the greatest, and a large beta would make a certainty of a rounding.
inline void join_ties(std::span<double> logits, double greatest, double error) noexcept {
  for (double& logit : logits) {
    if (logit >= greatest - error) logit = greatest;
  }
}

/// What separate() keeps between calls (in a Scratch), so that it seldom allocates.
struct SeparationBuffers {
  std::vector<double> values;
};

/// Immutable: any number of threads may share one, each with buffers of its own.
class Separation {
 public:
  virtual ~Separation() = default;

  /// Writes the weights of `logits` and returns W*(logits).
  ///
  /// logits, weights: [n], n >= 1, apart. A logit may be -infinity: its weight is exactly 0. At
  /// least one is finite; none is NaN or +infinity. Weights are not negative and sum to 1 within
  /// n 2^-52; a greater logit never weighs less, and equal ones weigh the same, except where
  /// most_weights() allows only some of them: then lower indices come first. The same logits give
  /// the same bits on one machine: sums run in the order of the indices. Shifted logits have the
  /// same weights and a shifted W*.
  virtual double separate(std::span<const double> logits, std::span<double> weights,
                          SeparationBuffers& buffers) const = 0;

  /// The m such that weights are one-hot if and only if the greatest logit leads all others by at
  /// least m. Infinity: weights are never one-hot.
  virtual double margin() const noexcept = 0;

  /// At most so many items have a weight, whatever the logits are.
  virtual std::size_t most_weights() const noexcept {
    return std::numeric_limits<std::size_t>::max();
  }

  /// Bounds the total weight of `others` logits that were left out, given that none exceeds
  /// `logit`, the least of those that were separated, and what came of them: its weight, and W*. A
  /// bound of 1 is always true. By default the others weigh nothing where `logit` does.
  virtual double weight_left_out(double others, double logit, double weight,
                                 double conjugate) const noexcept;
};

/// All that is known of a separation before it is used.
struct SeparationSpec {
  std::string_view name;    ///< lower case: the word after SEP
  std::string_view source;  ///< the paper or method, as "Author & Author 2018"
  /// Its parameters, as options of VNEW and VRECALL: integers and reals. No two separations name
  /// one alike.
  std::span<const OptionSpec> options = {};
  /// parameters: a value for each of `options`.
  std::unique_ptr<Separation> (*make)(std::span<const double> parameters);
};

/// SeparationSpec::make of a T without parameters, or made from one.
template <class T>
std::unique_ptr<Separation> make_separation(std::span<const double> parameters) {
  if constexpr (std::is_constructible_v<T, double>) {
    return std::make_unique<T>(parameters[0]);
  } else {
    return std::make_unique<T>();
  }
}

/// Registers a separation for the life of the program, at namespace scope of its source file.
class SeparationRegistration {
 public:
  explicit SeparationRegistration(const SeparationSpec& spec);
};

/// Every separation of this program, by name; softmax, the default, comes first.
std::vector<const SeparationSpec*> separations();

/// The one of exactly that name, or null.
const SeparationSpec* find_separation(std::string_view name);

}  // namespace engram
