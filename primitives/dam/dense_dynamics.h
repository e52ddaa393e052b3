// SPDX-License-Identifier: Apache-2.0
// Binary dense associative memory [Krotov2016, Demircigil2017]:
//
//   E(q) = -sum_i F(q.x_i)
//   q_k <- the sign that gives the lower energy, for k = 1 .. d in turn
//
// where F grows faster than the square of the classical network, so that an item's neighbours drown
// it later. Signs that are not known are 0 until their first turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "primitives/shared/signs/sign_recall.h"

namespace engram::dam {

/// F(z) = z^n, [z]+^n or exp(z), see Interaction.
enum class InteractionShape : std::uint8_t { kPower, kRectified, kExponential };
inline constexpr std::string_view kShapeNames[] = {"power", "rectified", "exp"};

/// F, of overlaps. n >= 2. An even power does not tell an item from its opposite, unless it is
/// rectified.
struct Interaction {
  InteractionShape shape = InteractionShape::kExponential;
  double power = 3;

  /// F(overlap) up to a factor that depends on `scale`, which keeps it within what a double holds:
  /// F(overlap / scale), or F(overlap - scale) of exp.
  double value(double overlap, double scale) const;
  /// ln F(overlap), or -infinity where F is not positive.
  double log_value(double overlap) const;
};

/// What a worker keeps between recalls.
struct DenseBuffers {
  std::vector<std::int32_t> overlaps;  // of the items with the state
  std::vector<std::size_t> counts;     // of the items that have each overlap
  std::vector<double> table;           // F of every overlap there may be
  std::vector<std::uint32_t> active;   // items that count in comparing energies
  std::vector<double> weights;         // of those: F(overlap + 2) - F(overlap - 2)
};

class DenseDynamics final : public recall::SignDynamics {
 public:
  /// Borrows all it is given.
  DenseDynamics(const Interaction& interaction, const recall::SignItems& items, std::size_t dim,
                DenseBuffers& buffers)
      : interaction_(interaction), items_(items), dim_(dim), buffers_(buffers) {}

  /// -sum F(overlap / dim), so that -1 is about one item without flaw; of exp -ln sum F(overlap).
  std::optional<double> energy(const recall::SignState& state) override;
  bool update(recall::SignState& state) override;
  double log_share(std::size_t mismatches, std::size_t known) const override;

 private:
  std::int32_t signed_dim() const noexcept { return static_cast<std::int32_t>(dim_); }
  std::size_t index_of(std::int32_t overlap) const noexcept {
    return static_cast<std::size_t>(overlap + signed_dim());
  }
  bool agrees(std::size_t item, std::size_t i, bool is_positive) const noexcept;
  void measure(const recall::SignState& state);
  void set(recall::SignState& state, std::size_t i, bool is_positive);
  void fit_scale();
  void weigh();
  double at(std::int32_t overlap) const noexcept;
  bool gains_by_flip(const recall::SignState& state, std::size_t i);
  double field_at(std::size_t i) const;

  const Interaction& interaction_;
  const recall::SignItems& items_;
  const std::size_t dim_;
  DenseBuffers& buffers_;
  bool is_measured_ = false;
  double scale_ = std::numeric_limits<double>::quiet_NaN();  // none fits yet
  bool is_weighed_ = false;  // the following, and the items that are active
  double gain_ = 0;          // sum of F(overlap + 2) - F(overlap)
  double gain_size_ = 0;     // that of their absolute values
};

}  // namespace engram::dam
