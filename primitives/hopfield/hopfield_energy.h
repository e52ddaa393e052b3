// SPDX-License-Identifier: Apache-2.0
// The energy of modern Hopfield networks over stored rows, and its update:
//
//   logit   l_i(q) = beta * sim(q, x_i) + b_i
//   weights p      = grad W*(l), see separation.h
//   energy  E(q)   = -W*(l(q)) / beta + R(q)
//   update  T(q)   = sum_i p_i x_i, under cosine divided by its norm
//
// with sim the inner product, or minus half the squared distance under l2, and R half the squared
// norm of q under dot and zero otherwise: there the square is inside sim, or the norm is one. E
// never rises from q to T(q): W* is convex, and T minimises R minus the linear part of W* / beta
// (the concave-convex procedure, Yuille & Rangarajan 2003). With softmax and dot this is eq. 2-3 of
// Ramsauer et al. 2021 but for constants; other separations make it Hopfield-Fenchel-Young (Santos
// et al. 2024). Logits as near to the greatest as its own error are equal to it, see join_ties().
// b_i is zero, or minus the handicap of an item that is weaker than others (core/bias.h).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/shared/separation/separation.h"

namespace engram::hopfield {

/// Buffers that a worker keeps between recalls.
struct EnergyBuffers {
  std::vector<float> scores;
  std::vector<double> squares;
  std::vector<double> logits;
  std::vector<double> handicaps;
  std::vector<Slot> weighted_slots;
  std::vector<double> factors;
  SeparationBuffers separation;
  std::vector<float> mask;
  AlignedBuffer decoded;
};

/// Weights of items at a state.
struct Weighing {
  std::vector<double> weights;  ///< of the slots it was asked for
  double conjugate = 0;         ///< W*
  double energy = 0;
};

/// The energy of one index under one beta, separation and bias (null: none). Borrows all it is
/// given; immutable, so any number of threads may share one. States are queries of the store's
/// kernel: float32 rows, of unit length under cosine, with query_bytes() to read.
class HopfieldEnergy {
 public:
  HopfieldEnergy(const IndexContext& context, const RowAlgebra& algebra, double beta,
                 const Separation& separation, const Bias* bias = nullptr)
      : context_(context),
        algebra_(algebra),
        beta_(beta),
        separation_(separation),
        bias_(bias),
        score_bias_(bias == nullptr
                        ? std::nullopt
                        : std::optional(ScoreBias(*bias, context.store.metric(), beta))) {}

  const Separation& separation() const noexcept { return separation_; }
  /// By which a search finds the items with the greatest logits; null: by similarity alone.
  const ScoreBias* score_bias() const noexcept { return score_bias_ ? &*score_bias_ : nullptr; }

  /// The weights of `slots` (ascending) at `state`, and E there if those were all items. A row
  /// that is damaged so that it has no similarity has no weight. False if none has, or if there
  /// are no slots: a last item may be erased after a recall began.
  bool weigh(const float* state, std::span<const Slot> slots, EnergyBuffers& buffers,
             Weighing& weighing) const;

  /// The same if only the coordinates in `visible` are known: similarities are of those alone. The
  /// others of `state` are zero.
  bool weigh_visible(const float* state, std::span<const CoordinateRange> visible,
                     std::span<const Slot> slots, EnergyBuffers& buffers, Weighing& weighing) const;

  /// next = T of the state that `weights` of `slots` belong to. next: [padded dim].
  void update(std::span<const Slot> slots, std::span<const double> weights, EnergyBuffers& buffers,
              std::vector<double>& sum, float* next) const;

  /// Fills the hidden coordinates of `state`, which are zero, with those of sum_i p_i x_i, weights
  /// being those of weigh_visible() just before: the mean of what is hidden, given what is visible.
  /// Under cosine each item is first scaled to the visible norm of the state, and in the end the
  /// state to one.
  void complete(std::span<const CoordinateRange> visible, std::span<const Slot> slots,
                std::span<const double> weights, EnergyBuffers& buffers, std::vector<double>& sum,
                float* state) const;

 private:
  double similarity(float score) const noexcept;
  double logit(double similarity) const noexcept;
  void subtract_handicaps(std::span<const Slot> slots, EnergyBuffers& buffers) const;
  double regularizer(const float* state) const noexcept;
  double error_of(const float* state, Slot slot, double logit, EnergyBuffers& buffers) const;
  bool separate_logits(const float* state, std::span<const Slot> slots, EnergyBuffers& buffers,
                       Weighing& weighing, double regularizer) const;
  void add_rows(std::span<const Slot> slots, std::span<const double> factors,
                EnergyBuffers& buffers, std::vector<double>& sum) const;
  void score_slots(const float* state, std::span<const Slot> slots, EnergyBuffers& buffers) const;
  void visible_squares(const float* query, std::span<const CoordinateRange> visible,
                       std::span<const Slot> slots, EnergyBuffers& buffers) const;

  const IndexContext context_;
  const RowAlgebra& algebra_;
  const double beta_;
  const Separation& separation_;
  const Bias* const bias_;
  const std::optional<ScoreBias> score_bias_;
};

}  // namespace engram::hopfield
