// SPDX-License-Identifier: Apache-2.0
#include "primitives/dam/dense_dynamics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace engram::dam {
namespace {

/// Energies that differ by less than this share of their parts are equal: rounding must neither
/// make a sign flip back and forth nor choose one where the field is zero.
constexpr double kRounding = 1e-12;

/// Items of less than this share of the greatest weight change no comparison, however many.
constexpr double kNegligible = 1e-22;

}  // namespace

double Interaction::value(double overlap, double scale) const {
  switch (shape) {
    case InteractionShape::kPower:
      return std::pow(overlap / scale, power);
    case InteractionShape::kRectified:
      return std::pow(std::max(overlap, 0.0) / scale, power);
    case InteractionShape::kExponential:
      return std::exp(overlap - scale);
  }
  return 0;
}

double Interaction::log_value(double overlap) const {
  if (shape == InteractionShape::kExponential) return overlap;
  const bool is_even = shape == InteractionShape::kPower && std::fmod(power, 2) == 0;
  const double size = is_even ? std::abs(overlap) : std::max(overlap, 0.0);
  return power * std::log(size);
}

std::optional<double> DenseDynamics::energy(const recall::SignState& state) {
  measure(state);
  // By how many items have each overlap: F is costly, and there are fewer overlaps.
  auto& counts = buffers_.counts;
  counts.assign(2 * dim_ + 1, 0);
  for (const std::int32_t overlap : buffers_.overlaps) ++counts[index_of(overlap)];
  const bool is_exponential = interaction_.shape == InteractionShape::kExponential;
  const auto greatest = *std::max_element(buffers_.overlaps.begin(), buffers_.overlaps.end());
  const double scale = static_cast<double>(is_exponential ? greatest : signed_dim());
  double sum = 0;
  for (std::int32_t overlap = -signed_dim(); overlap <= signed_dim(); ++overlap) {
    const std::size_t count = counts[index_of(overlap)];
    if (count == 0) continue;
    sum += static_cast<double>(count) * interaction_.value(overlap, scale);
  }
  return is_exponential ? -(greatest + std::log(sum)) : -sum;
}

double DenseDynamics::log_share(std::size_t mismatches, std::size_t known) const {
  return interaction_.log_value(static_cast<double>(known) - 2.0 * static_cast<double>(mismatches));
}

bool DenseDynamics::update(recall::SignState& state) {
  measure(state);
  bool changed = false;
  for (std::size_t i = 0; i < dim_; ++i) {
    if (!state.is_free(i)) continue;
    const int sign = state.sign(i);
    if (sign != 0 && !gains_by_flip(state, i)) continue;
    set(state, i, sign == 0 ? state.sign_in(i, field_at(i)) > 0 : sign < 0);
    changed = true;
  }
  return changed;
}

bool DenseDynamics::agrees(std::size_t item, std::size_t i, bool is_positive) const noexcept {
  const recall::SignWord word = items_.pattern(item)[i / recall::kSignBits];
  return ((word >> (i % recall::kSignBits) & 1) != 0) == is_positive;
}

/// Takes the overlaps at the first call; later they follow the state.
void DenseDynamics::measure(const recall::SignState& state) {
  if (is_measured_) return;
  is_measured_ = true;
  const auto known = static_cast<std::int32_t>(state.known_count());
  buffers_.overlaps.clear();
  for (std::size_t i = 0; i < items_.count(); ++i) {
    const auto mismatches = static_cast<std::int32_t>(state.mismatches(items_.pattern(i)));
    buffers_.overlaps.push_back(known - 2 * mismatches);
  }
  fit_scale();
}

void DenseDynamics::set(recall::SignState& state, std::size_t i, bool is_positive) {
  const std::int32_t change = state.sign(i) == 0 ? 1 : 2;
  for (std::size_t item = 0; item < items_.count(); ++item) {
    buffers_.overlaps[item] += agrees(item, i, is_positive) ? change : -change;
  }
  state.set(i, is_positive);
  is_weighed_ = false;
  fit_scale();
}

/// Computes the table of F anew where the greatest overlap has left the range of the scale.
void DenseDynamics::fit_scale() {
  constexpr double kExponentRange = 300;  // e^300 is far within a double
  double greatest = -std::numeric_limits<double>::infinity();
  for (const std::int32_t overlap : buffers_.overlaps) {
    const auto value = static_cast<double>(overlap);
    greatest = std::max(greatest,
                        interaction_.shape == InteractionShape::kPower ? std::abs(value) : value);
  }
  const bool is_exponential = interaction_.shape == InteractionShape::kExponential;
  const double wanted = is_exponential ? greatest : std::max(greatest, 1.0);
  const bool fits = is_exponential ? std::abs(wanted - scale_) <= kExponentRange
                                   : wanted >= scale_ / 2 && wanted <= 2 * scale_;
  if (fits) return;
  scale_ = wanted;
  const std::int32_t most = signed_dim() + 2;
  buffers_.table.resize(2 * static_cast<std::size_t>(most) + 1);
  for (std::int32_t overlap = -most; overlap <= most; ++overlap) {
    buffers_.table[static_cast<std::size_t>(overlap + most)] =
        interaction_.value(static_cast<double>(overlap), scale_);
  }
}

double DenseDynamics::at(std::int32_t overlap) const noexcept {
  return buffers_.table[static_cast<std::size_t>(overlap + signed_dim() + 2)];
}

/// What the energy gains or loses by a flip, of items that agree and of those that do not. Only
/// done where flips are compared: signs that become known ask for none of it.
void DenseDynamics::weigh() {
  if (is_weighed_) return;
  is_weighed_ = true;
  auto& active = buffers_.active;
  auto& weights = buffers_.weights;
  gain_ = 0;
  gain_size_ = 0;
  double greatest = 0;
  for (const std::int32_t overlap : buffers_.overlaps) {
    gain_ += at(overlap + 2) - at(overlap);
    gain_size_ += std::abs(at(overlap + 2) - at(overlap));
    greatest = std::max(greatest, std::abs(at(overlap + 2) - at(overlap - 2)));
  }
  active.clear();
  weights.clear();
  for (std::size_t item = 0; item < items_.count(); ++item) {
    const std::int32_t overlap = buffers_.overlaps[item];
    const double weight = at(overlap + 2) - at(overlap - 2);
    if (std::abs(weight) <= kNegligible * greatest) continue;
    active.push_back(static_cast<std::uint32_t>(item));
    weights.push_back(weight);
  }
}

/// Whether a flip of sign i raises sum F, and so lowers the energy. Items that do not agree with it
/// gain F(o + 2) - F(o), the others lose F(o) - F(o - 2). The sum of such gains over all items is
/// at hand, from which those that agree take away the weights.
bool DenseDynamics::gains_by_flip(const recall::SignState& state, std::size_t i) {
  weigh();
  const bool is_positive = state.sign(i) > 0;
  double sum = 0;
  double size = gain_size_;
  for (std::size_t k = 0; k < buffers_.active.size(); ++k) {
    if (!agrees(buffers_.active[k], i, is_positive)) continue;
    sum += buffers_.weights[k];
    size += std::abs(buffers_.weights[k]);
  }
  return gain_ - sum > kRounding * size;
}

/// The field at a sign that is not known: the sum of F(o + x) - F(o - x).
double DenseDynamics::field_at(std::size_t i) const {
  double sum = 0;
  double size = 0;
  for (std::size_t item = 0; item < items_.count(); ++item) {
    const std::int32_t overlap = buffers_.overlaps[item];
    const double gain = at(overlap + 1) - at(overlap - 1);
    sum += agrees(item, i, true) ? gain : -gain;
    size += std::abs(gain);
  }
  return std::abs(sum) > kRounding * size ? sum : 0;
}

}  // namespace engram::dam
