// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/hopfield_survey.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/hash.h"
#include "core/row.h"
#include "core/text.h"
#include "primitives/recall/rows.h"
#include "primitives/recall/tuned.h"

namespace engram::recall {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The slots whose hashes are the least: the same ones for the same items and seed.
std::vector<Slot> draw(const std::vector<Slot>& slots, std::size_t count, std::uint64_t seed) {
  std::vector<Slot> drawn = slots;
  const auto precedes = [salt = mix(seed)](Slot a, Slot b) {
    return mix(a ^ salt) < mix(b ^ salt);
  };
  if (count < drawn.size()) {
    const auto end = drawn.begin() + static_cast<std::ptrdiff_t>(count);
    std::nth_element(drawn.begin(), end, drawn.end(), precedes);
    drawn.resize(count);
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

/// The value that a share of `values`, which are not empty, is not above.
double quantile(std::vector<double> values, double share) {
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<std::size_t>(place)];
}

template <class Predicate>
double share_of(const std::vector<double>& values, Predicate&& holds) {
  const auto count = std::count_if(values.begin(), values.end(), holds);
  return static_cast<double>(count) / static_cast<double>(values.size());
}

/// The 10th percentile, or where that is not positive (duplicates) the least positive decile.
double scale_of(const std::vector<double>& gaps) {
  for (int decile = 1; decile <= 9 && !gaps.empty(); ++decile) {
    const double gap = quantile(gaps, decile / 10.0);
    if (gap > 0) return gap;
  }
  return 0;
}

double kappa(const SeparationRule& rule) {
  const double margin = separation_margin(rule);
  return std::isfinite(margin) && margin > 0 ? margin : 2 * std::log(100.0);
}

}  // namespace

HopfieldSurvey::HopfieldSurvey(const Memory& memory, const RowAlgebra& algebra,
                               const SurveySettings& how, Items items)
    : memory_(memory),
      algebra_(algebra),
      how_(how),
      items_(std::move(items)),
      sample_(items_.all.size() < 2 ? std::vector<Slot>{} : draw(items_.all, how.sample, how.seed)),
      beta_(how.beta) {}

bool HopfieldSurvey::step(Scratch& scratch) {
  const std::size_t count = sample_.size();
  if (next_ < count) {
    if (!measure_gap(sample_[next_], scratch)) return false;
  } else if (next_ < 2 * count) {
    if (next_ == count && beta_ == 0) find_beta();
    if (beta_ == 0 || !measure_energy(sample_[next_ - count], scratch)) return false;
  }
  return ++next_ < 2 * count;
}

void HopfieldSurvey::find_beta() {
  gap_ = scale_of(gaps_);
  if (gap_ == 0) gap_ = scale_of(squared_gaps_);
  if (gap_ > 0) beta_ = kappa(how_.settings.separation) / gap_;
}

const float* HopfieldSurvey::row(Slot slot, EnergyBuffers& buffers) const {
  const float* values = nullptr;
  for_each_piece(memory_.context.store, {&slot, 1}, buffers.own_row,
                 [&](std::span<const std::byte* const> rows, std::size_t) {
                   values = reinterpret_cast<const float*>(rows[0]);
                 });
  return values;
}

/// Fills buffers.hits with `slot` and the item nearest to it, and perhaps others, in any order.
Status HopfieldSurvey::find_nearest(Slot slot, const float* state, Scratch& scratch,
                                    DescentBuffers& buffers) const {
  const Query query{reinterpret_cast<const std::byte*>(state)};
  const Bound bound(memory_.context.kernel, query, memory_.context.store);
  if (items_.graph != nullptr) {
    constexpr std::size_t kNeighbors = 16;
    ENGRAM_TRY(items_.graph->search(
        query, {.k = kNeighbors, .ef = 2 * how_.settings.candidate_count}, scratch, buffers.hits));
    buffers.hits.push_back({bound.score(slot), slot});
    return {};
  }
  buffers.energy.scores.resize(items_.all.size());
  score_all(bound, items_.all, buffers.energy.scores);
  buffers.hits.clear();
  Hit nearest{std::numeric_limits<float>::infinity(), kNoSlot};
  for (std::size_t i = 0; i < items_.all.size(); ++i) {
    const Hit hit{buffers.energy.scores[i], items_.all[i]};
    if (hit.slot == slot) buffers.hits.push_back(hit);
    if (hit.slot != slot && hit < nearest) nearest = hit;
  }
  buffers.hits.push_back(nearest);
  return {};
}

bool HopfieldSurvey::measure_gap(Slot slot, Scratch& scratch) {
  auto& buffers = scratch.get<DescentBuffers>();
  const float* const state = row(slot, buffers.energy);
  if (!find_nearest(slot, state, scratch, buffers)) return false;
  float own = 0;
  float nearest = std::numeric_limits<float>::infinity();
  for (const Hit& hit : buffers.hits) {
    if (hit.slot == slot) {
      own = hit.score;
    } else {
      nearest = std::min(nearest, hit.score);
    }
  }
  const Metric metric = memory_.context.store.metric();
  const double gap = (metric == Metric::kL2 ? 0.5 : 1.0) * (double{nearest} - double{own});
  if (std::isfinite(gap)) gaps_.push_back(gap);
  if (metric == Metric::kDot) add_squared_gap(slot, state, buffers);
  return true;
}

/// Under dot a longer item may be more similar to one than that is to itself; how far apart they
/// are is then what there is to go by.
void HopfieldSurvey::add_squared_gap(Slot slot, const float* state, DescentBuffers& buffers) {
  const VectorStore& store = memory_.context.store;
  std::vector<float> ones(row_bytes(store.dim()) / sizeof(float));
  std::fill_n(ones.begin(), store.dim(), 1.0F);
  double nearest = kInfinity;
  std::vector<float> squares;
  for_each_piece(store, items_.all, buffers.energy.decoded,
                 [&](std::span<const std::byte* const> rows, std::size_t first) {
                   squares.resize(rows.size());
                   algebra_.weighted_squares(state, ones.data(), rows, squares);
                   for (std::size_t i = 0; i < rows.size(); ++i) {
                     if (items_.all[first + i] != slot)
                       nearest = std::min(nearest, 0.5 * squares[i]);
                   }
                 });
  if (std::isfinite(nearest)) squared_gaps_.push_back(nearest);
}

bool HopfieldSurvey::measure_energy(Slot slot, Scratch& scratch) {
  auto& buffers = scratch.get<DescentBuffers>();
  const float* const state = row(slot, buffers.energy);
  auto& slots = buffers.candidates;
  slots = items_.all;
  if (items_.graph != nullptr) {
    const Query query{reinterpret_cast<const std::byte*>(state)};
    const std::size_t count = how_.settings.candidate_count;
    if (!items_.graph->search(query, {.k = count, .ef = 2 * count}, scratch, buffers.hits)) {
      return false;
    }
    slots.clear();
    for (const Hit& hit : buffers.hits) slots.push_back(hit.slot);
    std::sort(slots.begin(), slots.end());
  }
  const Energy energy(memory_.context, algebra_, beta_, how_.settings.separation);
  const auto own = std::lower_bound(slots.begin(), slots.end(), slot);
  const auto place = static_cast<std::size_t>(own - slots.begin());
  const bool is_there = own != slots.end() && *own == slot;
  if (is_there && energy.weigh(state, slots, buffers.energy, buffers.weighing)) {
    own_weights_.push_back(buffers.weighing.weights[place]);
  }
  if (is_there) slots.erase(own);
  if (!slots.empty() && energy.weigh(state, slots, buffers.energy, buffers.weighing)) {
    energies_.push_back(buffers.weighing.energy);
  }
  return true;
}

Result<Tuning> HopfieldSurvey::tuning() const {
  if (beta_ == 0 || energies_.empty()) {
    return fail(ErrorCode::kInvalidArgument,
                sample_.empty() ? "there must be two items at least to tell how far apart they are"
                                : "no two items of the sample differ, so no beta tells them apart");
  }
  return to_numbers({.beta = beta_,
                     .gap = gap_,
                     .negative_gaps = share_of(gaps_, [](double gap) { return gap < 0; }),
                     .items = static_cast<double>(items_.all.size()),
                     .energy_q50 = quantile(energies_, 0.5),
                     .energy_q90 = quantile(energies_, 0.9),
                     .energy_q99 = quantile(energies_, 0.99),
                     .separation = how_.settings.separation});
}

std::vector<Fact> HopfieldSurvey::diagnosis() const {
  std::vector<Fact> facts;
  const auto add = [&](std::string name, double value) {
    facts.push_back({std::move(name), number_text(value)});
  };
  add("items", static_cast<double>(items_.all.size()));
  add("sample", static_cast<double>(sample_.size()));
  add("beta", beta_);
  if (gaps_.empty() || energies_.empty() || own_weights_.empty()) return facts;
  add("gap-least", quantile(gaps_, 0));
  add("gap-p10", quantile(gaps_, 0.1));
  add("gap-median", quantile(gaps_, 0.5));
  add("negative-gaps", share_of(gaps_, [](double gap) { return gap < 0; }));
  add("duplicates", share_of(gaps_, [](double gap) { return gap == 0; }));
  add("own-weight-median", quantile(own_weights_, 0.5));
  add("own-weight-099", share_of(own_weights_, [](double weight) { return weight >= 0.99; }));
  add("energy-q50", quantile(energies_, 0.5));
  add("energy-q90", quantile(energies_, 0.9));
  add("energy-q99", quantile(energies_, 0.99));
  // Every cue within r of an item returns it in one step: min over j of (gap - m / beta) / distance
  // (Santos et al. 2024, prop. 3), which the nearest neighbour decides where gap = distance^2 / 2.
  const double margin = separation_margin(how_.settings.separation);
  if (!std::isfinite(margin) || memory_.context.store.metric() == Metric::kDot) return facts;
  std::vector<double> radii;
  for (const double gap : gaps_) {
    radii.push_back(gap > 0 ? std::max(0.0, (gap - margin / beta_) / std::sqrt(2 * gap)) : 0);
  }
  add("exact-radius-p10", quantile(radii, 0.1));
  add("exact-radius-median", quantile(radii, 0.5));
  return facts;
}

}  // namespace engram::recall
