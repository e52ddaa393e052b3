// SPDX-License-Identifier: Apache-2.0
#include "server/engine/item_replay.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include "core/hash.h"

namespace engram {
namespace {

constexpr double kStep = 0.1;  // eta
constexpr std::chrono::milliseconds kTurn{2};

/// Two independent normal numbers of one key (Box & Muller 1958).
std::pair<double, double> normal_pair(std::uint64_t key) {
  const double radius = std::sqrt(-2 * std::log(unit_interval(mix(key))));
  const double angle = 2 * std::numbers::pi * unit_interval(mix(~key));
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

void normalize(std::vector<float>& q) {
  double square = 0;
  for (const float value : q) square += double{value} * value;
  if (square == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(square));
  for (float& value : q) value *= scale;
}

/// Of the squares of to - from - eta drift(from), the sum.
double squares_from(const std::vector<float>& from, const std::vector<float>& drift,
                    const std::vector<float>& to) {
  double sum = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double rest = double{to[i]} - from[i] - kStep * drift[i];
    sum += rest * rest;
  }
  return sum;
}

}  // namespace

Result<ItemReplay> ItemReplay::create(const ReplayParams& params, const ReadView& view, Items items,
                                      std::int64_t at_ms) {
  ItemReplay replay(params, view, std::move(items), at_ms);
  if (params.by == ReplayBy::kStrength) return replay;
  const Primitive& primitive = *view.spec().primitive;
  const double beta = primitive.traits.recalls ? view.recaller().beta() : 0;
  if (!(beta > 0)) {
    return fail(ErrorCode::kUnsupported,
                "REPLAY BY langevin needs an energy with a beta: primitive '" +
                    std::string(primitive.name) + "' has none, or VTUNE has not found it");
  }
  auto one_step = Options::parse(primitive.recall_options, std::vector<OptionText>{{"STEPS", "1"}});
  if (!one_step) return tl::unexpected(std::move(one_step.error()));
  replay.one_step_ = std::move(*one_step);
  replay.temperature_ = params.temperature.value_or(1 / beta);
  for (std::size_t i = 0; i < replay.items_.slots.size(); ++i) {
    replay.item_of_[replay.items_.slots[i]] = i;
  }
  return replay;
}

ItemReplay::ItemReplay(const ReplayParams& params, const ReadView& view, Items items,
                       std::int64_t at_ms)
    : params_(params),
      view_(&view),
      items_(std::move(items)),
      at_ms_(at_ms),
      one_step_({}),
      met_(items_.slots.size()) {
  double sum = 0;
  for (const double log_strength : items_.log_strengths) {
    sum += std::exp(log_strength - items_.log_strengths.front());
    sums_.push_back(sum);
  }
}

/// With replacement, by the sums of strengths up to each item.
std::size_t ItemReplay::draw_item(std::size_t draw) const {
  const double at = sums_.back() * unit_interval(mix(mix(params_.seed) + draw));
  return static_cast<std::size_t>(std::lower_bound(sums_.begin(), sums_.end() - 1, at) -
                                  sums_.begin());
}

Result<bool> ItemReplay::step(Scratch& scratch) {
  constexpr std::size_t kBetweenLooks = 4096;  // at the clock, where a draw takes nanoseconds
  const auto until = std::chrono::steady_clock::now() + kTurn;
  if (items_.slots.empty()) drawn_ = params_.draws;
  const auto bias = view_->bias(at_ms_);
  while (drawn_ < params_.draws) {
    if (params_.by == ReplayBy::kLangevin) {
      ENGRAM_TRY(walk_on(bias ? &*bias : nullptr, scratch));
    } else {
      ++met_[draw_item(drawn_++)];
      if (drawn_ % kBetweenLooks != 0) continue;
    }
    if (std::chrono::steady_clock::now() >= until) break;
  }
  return drawn_ < params_.draws;
}

/// One step of descent from place.q tells its energy, too, and whose it is.
Status ItemReplay::look(const Bias* bias, Scratch& scratch, Place& place) const {
  const RecallParams params = {.options = &one_step_, .top = 0, .items = &items_.all, .bias = bias};
  Recall recall;
  ENGRAM_TRY(view_->recaller().recall({.vector = place.q}, params, scratch, recall));
  if (recall.energies.empty()) {
    return fail(ErrorCode::kUnsupported,
                "REPLAY BY langevin walks in an energy, which recalls of primitive '" +
                    std::string(view_->spec().primitive->name) + "' do not have");
  }
  // A descent from outside begins elsewhere.
  constexpr double kNowhere = std::numeric_limits<double>::infinity();
  place.energy = recall.outside ? kNowhere : recall.energies.front();
  place.nearest = recall.onestep ? std::optional(recall.onestep->slot) : std::nullopt;
  place.drift.resize(place.q.size());
  for (std::size_t i = 0; i < place.q.size(); ++i) place.drift[i] = recall.state[i] - place.q[i];
  return {};
}

void ItemReplay::propose(const Place& from, std::uint64_t key, Place& to) const {
  const double deviation = std::sqrt(2 * kStep * temperature_);
  to.q.resize(from.q.size());
  for (std::size_t i = 0; i < from.q.size(); i += 2) {
    const auto [first, second] = normal_pair(key + 1 + i);
    to.q[i] = static_cast<float>(from.q[i] + kStep * from.drift[i] + deviation * first);
    if (i + 1 == from.q.size()) break;
    to.q[i + 1] =
        static_cast<float>(from.q[i + 1] + kStep * from.drift[i + 1] + deviation * second);
  }
  if (view_->spec().metric == Metric::kCosine) normalize(to.q);
}

/// ln of what a step is accepted with: of exp(-E / T) at its ends, and of how likely it and the
/// way back are proposed. On the sphere these are alike to first order.
double ItemReplay::log_odds(const Place& from, const Place& to) const {
  const double by_energy = (from.energy - to.energy) / temperature_;
  if (view_->spec().metric == Metric::kCosine) return by_energy;
  const double way = squares_from(from.q, from.drift, to.q);
  const double back = squares_from(to.q, to.drift, from.q);
  return by_energy + (way - back) / (4 * kStep * temperature_);
}

/// Where its draw's walk begins, or a step of it.
Status ItemReplay::walk_on(const Bias* bias, Scratch& scratch) {
  if (walked_ == 0) {
    here_.q.resize(view_->spec().dim);
    view_->read(items_.slots[draw_item(drawn_)], here_.q);
    ENGRAM_TRY(look(bias, scratch, here_));
  }
  constexpr std::uint64_t kWalks = 0x6c616e67;  // another stream than that of the draws
  const std::uint64_t key = mix(mix(mix(params_.seed ^ kWalks) + drawn_) + walked_);
  propose(here_, key, there_);
  ENGRAM_TRY(look(bias, scratch, there_));
  // A place with no energy, or an infinite one, is never gone to.
  if (std::log(unit_interval(mix(key))) < log_odds(here_, there_)) std::swap(here_, there_);
  if (++walked_ < params_.walk) return {};
  walked_ = 0;
  ++drawn_;
  const auto met = here_.nearest ? item_of_.find(*here_.nearest) : item_of_.end();
  if (met != item_of_.end()) ++met_[met->second];
  return {};
}

}  // namespace engram
