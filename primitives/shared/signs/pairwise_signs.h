// SPDX-License-Identifier: Apache-2.0
// Signs that pull at each other in pairs, as in every network of Hopfield's kind:
//
//   field_k = sum_{l != k} J_kl q_l      E = -1/2 sum_k q_k field_k      q_k <- sign field_k
//
// J is symmetric, and its diagonal counts for nothing. Signs change one at a time in the order of
// coordinates, so the energy never rises. Signs that are not known are 0 until their first turn.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "primitives/shared/signs/signs.h"

namespace engram::recall {

/// Follows one state. Field: what couplings are added up in, wide enough for dim of them.
template <class Coupling, class Field>
class PairwiseSigns {
 public:
  using Couplings = std::span<const Coupling>;  // [dim, dim], the same in every call

  /// least_field: what is smaller is rounding, and counts as zero.
  explicit PairwiseSigns(std::size_t dim, Field least_field = 0)
      : dim_(dim), least_field_(least_field) {}

  /// 2 E of a state that is known as a whole.
  Field twice_energy(const SignState& state, Couplings couplings) {
    measure(state, couplings);
    Field twice = 0;
    for (std::size_t i = 0; i < dim_; ++i) twice -= static_cast<Field>(state.sign(i)) * fields_[i];
    return twice;
  }

  /// Gives every free sign its turn. Returns whether one changed, or became known.
  bool update(SignState& state, Couplings couplings) {
    measure(state, couplings);
    bool changed = false;
    for (std::size_t i = 0; i < dim_; ++i) changed |= state.is_free(i) && turn(i, state, couplings);
    return changed;
  }

 private:
  /// At the first call; later the fields follow the state.
  void measure(const SignState& state, Couplings couplings) {
    if (!fields_.empty()) return;
    fields_.assign(dim_, 0);
    for (std::size_t i = 0; i < dim_; ++i) add(i, state.sign(i), couplings);
  }

  bool turn(std::size_t i, SignState& state, Couplings couplings) {
    const int former = state.sign(i);
    const int sign = state.sign_in(i, rounded(fields_[i]));
    if (sign == former) return false;
    add(i, sign - former, couplings);
    state.set(i, sign > 0);
    return true;
  }

  Field rounded(Field field) const {
    if constexpr (std::is_floating_point_v<Field>) {
      if (std::abs(field) < least_field_) return 0;
    }
    return field;
  }

  /// Sign i has changed by so much, and with it the fields of all others.
  void add(std::size_t i, int change, Couplings couplings) {
    if (change == 0) return;
    const Coupling* const row = &couplings[i * dim_];
    const auto by = static_cast<Field>(change);
    const Field own = fields_[i];
    for (std::size_t k = 0; k < dim_; ++k) fields_[k] += static_cast<Field>(row[k]) * by;
    fields_[i] = own;
  }

  const std::size_t dim_;
  const Field least_field_;
  std::vector<Field> fields_;
};

}  // namespace engram::recall
