// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_energy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/row.h"
#include "primitives/shared/rows/rows.h"

namespace engram::hopfield {
namespace {

constexpr double kNoMass = -std::numeric_limits<double>::infinity();

double squared_norm(const float* state, std::size_t dim) {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) sum += double{state[i]} * state[i];
  return sum;
}

std::size_t padded_floats(std::size_t dim) {
  return row_bytes(dim) / sizeof(float);
}

/// Calls visit(coordinate) for those that are not visible.
template <class Visit>
void for_each_hidden(std::span<const CoordinateRange> visible, std::size_t dim, Visit&& visit) {
  std::size_t coordinate = 0;
  for (const auto& [begin, end] : visible) {
    for (; coordinate < begin; ++coordinate) visit(coordinate);
    coordinate = end;
  }
  for (; coordinate < dim; ++coordinate) visit(coordinate);
}

/// Divides a row by its norm, unless that is zero.
void normalize(float* state, std::size_t dim) {
  const double norm = std::sqrt(squared_norm(state, dim));
  if (!(norm > 0)) return;
  for (std::size_t i = 0; i < dim; ++i) state[i] = static_cast<float>(state[i] / norm);
}

}  // namespace

/// Of a kernel's score.
double HopfieldEnergy::similarity(float score) const noexcept {
  return context_.store.metric() == Metric::kL2 ? -0.5 * squared_distance(score) : -double{score};
}

/// R at `state`.
double HopfieldEnergy::regularizer(const float* state) const noexcept {
  return context_.store.metric() == Metric::kDot ? 0.5 * squared_norm(state, context_.store.dim())
                                                 : 0;
}

/// Of a similarity.
double HopfieldEnergy::logit(double similarity) const noexcept {
  const double logit = beta_ * similarity;
  return std::isfinite(logit) ? logit : kNoMass;
}

/// How far rounding may have carried the logit of an item at `state`.
double HopfieldEnergy::error_of(const float* state, Slot slot, double logit,
                                EnergyBuffers& buffers) const {
  switch (context_.store.metric()) {
    case Metric::kL2:
      return kSimilarityError * std::abs(logit);
    case Metric::kCosine:
      return kSimilarityError * beta_;
    case Metric::kDot:
      break;
  }
  double terms = 0;
  recall::for_each_piece(context_.store, {&slot, 1}, buffers.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t) {
                           const auto* const row = reinterpret_cast<const float*>(rows[0]);
                           for (std::size_t k = 0; k < context_.store.dim(); ++k) {
                             terms += std::abs(double{state[k]} * double{row[k]});
                           }
                         });
  return kSimilarityError * beta_ * terms;
}

/// From the logits in `buffers`.
void HopfieldEnergy::subtract_handicaps(std::span<const Slot> slots, EnergyBuffers& buffers) const {
  buffers.handicaps.resize(slots.size());
  bias_->handicaps(slots, buffers.handicaps);
  for (std::size_t i = 0; i < slots.size(); ++i) buffers.logits[i] -= buffers.handicaps[i];
}

/// Makes weights of what `buffers` have as logits, without the bias.
bool HopfieldEnergy::separate_logits(const float* state, std::span<const Slot> slots,
                                     EnergyBuffers& buffers, Weighing& weighing,
                                     double regularizer) const {
  if (slots.empty()) return false;
  weighing.weights.resize(buffers.logits.size());
  if (bias_ != nullptr) subtract_handicaps(slots, buffers);
  const auto greatest = std::max_element(buffers.logits.begin(), buffers.logits.end());
  if (*greatest == kNoMass) return false;
  const auto place = static_cast<std::size_t>(greatest - buffers.logits.begin());
  const double similar = *greatest + (bias_ == nullptr ? 0 : buffers.handicaps[place]);
  join_ties(buffers.logits, *greatest, error_of(state, slots[place], similar, buffers));
  weighing.conjugate = separation_.separate(buffers.logits, weighing.weights, buffers.separation);
  weighing.energy = regularizer - weighing.conjugate / beta_;
  return true;
}

/// buffers.scores[i] = the kernel's score of slots[i].
void HopfieldEnergy::score_slots(const float* state, std::span<const Slot> slots,
                                 EnergyBuffers& buffers) const {
  const Query query{reinterpret_cast<const std::byte*>(state)};
  buffers.scores.resize(slots.size());
  recall::score_all(Bound(context_.kernel, query, context_.store), slots, buffers.scores);
}

bool HopfieldEnergy::weigh(const float* state, std::span<const Slot> slots, EnergyBuffers& buffers,
                           Weighing& weighing) const {
  score_slots(state, slots, buffers);
  buffers.logits.resize(slots.size());
  std::transform(buffers.scores.begin(), buffers.scores.end(), buffers.logits.begin(),
                 [this](float score) { return logit(similarity(score)); });
  return separate_logits(state, slots, buffers, weighing, regularizer(state));
}

/// buffers.squares[i] = sum over the visible k of (query_k - x_ik)^2.
void HopfieldEnergy::visible_squares(const float* query, std::span<const CoordinateRange> visible,
                                     std::span<const Slot> slots, EnergyBuffers& buffers) const {
  recall::read_mask(visible, context_.store.dim(), buffers.mask);
  buffers.squares.resize(slots.size());
  recall::for_each_piece(context_.store, slots, buffers.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t first) {
                           algebra_.weighted_squares(
                               query, buffers.mask.data(), rows,
                               std::span(buffers.squares).subspan(first, rows.size()));
                         });
}

bool HopfieldEnergy::weigh_visible(const float* state, std::span<const CoordinateRange> visible,
                                   std::span<const Slot> slots, EnergyBuffers& buffers,
                                   Weighing& weighing) const {
  const std::size_t dim = context_.store.dim();
  buffers.logits.resize(slots.size());
  switch (context_.store.metric()) {
    case Metric::kDot:  // zeros hide coordinates from an inner product
      return weigh(state, slots, buffers, weighing);
    case Metric::kL2:
      visible_squares(state, visible, slots, buffers);
      std::transform(buffers.squares.begin(), buffers.squares.end(), buffers.logits.begin(),
                     [this](double square) { return logit(-0.5 * square); });
      break;
    case Metric::kCosine: {
      score_slots(state, slots, buffers);
      const std::vector<float> zero(padded_floats(dim));
      visible_squares(zero.data(), visible, slots, buffers);
      const double squared = squared_norm(state, dim);
      for (std::size_t i = 0; i < slots.size(); ++i) {
        const double norms = std::sqrt(squared * buffers.squares[i]);
        // NaN stays NaN.
        buffers.logits[i] = norms == 0 ? 0 : logit(similarity(buffers.scores[i]) / norms);
      }
    }
  }
  return separate_logits(state, slots, buffers, weighing, 0);
}

/// sum[k] = sum_i factors[i] x_ik, the items without a factor left out.
void HopfieldEnergy::add_rows(std::span<const Slot> slots, std::span<const double> factors,
                              EnergyBuffers& buffers, std::vector<double>& sum) const {
  sum.assign(padded_floats(context_.store.dim()), 0.0);
  buffers.weighted_slots.clear();
  buffers.factors.clear();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (factors[i] == 0) continue;
    buffers.weighted_slots.push_back(slots[i]);
    buffers.factors.push_back(factors[i]);
  }
  recall::for_each_piece(context_.store, buffers.weighted_slots, buffers.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t first) {
                           algebra_.add_rows(std::span(buffers.factors).subspan(first, rows.size()),
                                             rows, sum);
                         });
}

void HopfieldEnergy::update(std::span<const Slot> slots, std::span<const double> weights,
                            EnergyBuffers& buffers, std::vector<double>& sum, float* next) const {
  const std::size_t dim = context_.store.dim();
  add_rows(slots, weights, buffers, sum);
  double norm = 1;
  if (context_.store.metric() == Metric::kCosine) {
    double squared = 0;
    for (const double value : sum) squared += value * value;
    if (squared > 0) norm = std::sqrt(squared);
  }
  std::fill_n(next, padded_floats(dim), 0.0F);
  for (std::size_t i = 0; i < dim; ++i) next[i] = static_cast<float>(sum[i] / norm);
}

void HopfieldEnergy::complete(std::span<const CoordinateRange> visible, std::span<const Slot> slots,
                              std::span<const double> weights, EnergyBuffers& buffers,
                              std::vector<double>& sum, float* state) const {
  const std::size_t dim = context_.store.dim();
  std::vector<double> scaled;
  const bool is_cosine = context_.store.metric() == Metric::kCosine;
  if (is_cosine) {  // buffers.squares are the items' visible norms
    const double norm = std::sqrt(squared_norm(state, dim));
    scaled.assign(weights.begin(), weights.end());
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      if (norm > 0 && buffers.squares[i] > 0) scaled[i] *= norm / std::sqrt(buffers.squares[i]);
    }
    weights = scaled;
  }
  add_rows(slots, weights, buffers, sum);
  for_each_hidden(visible, dim, [&](std::size_t i) { state[i] = static_cast<float>(sum[i]); });
  if (is_cosine) normalize(state, dim);
}

}  // namespace engram::hopfield
