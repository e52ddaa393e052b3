// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/surveys/item_survey.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>

#include "core/row.h"
#include "core/text.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::recall {
namespace {

constexpr std::string_view kItems = "items";
constexpr std::string_view kRecovered = "recovered";
constexpr std::string_view kOverlap = "overlap";

double cosine(std::span<const float> a, std::span<const float> b) {
  double product = 0;
  double squares_of_a = 0;
  double squares_of_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += double{a[i]} * double{b[i]};
    squares_of_a += double{a[i]} * double{a[i]};
    squares_of_b += double{b[i]} * double{b[i]};
  }
  const double lengths = std::sqrt(squares_of_a * squares_of_b);
  return lengths > 0 ? product / lengths : 0;
}

}  // namespace

ItemSurvey::ItemSurvey(const Recaller& recaller, const VectorStore& store, const SlotSet& items,
                       const SurveyParams& params)
    : recaller_(recaller), store_(store), params_(params) {
  std::vector<Slot> all;
  items.list(all);
  items_ = all.size();
  slots_ = draw_sample(all, params.sample, params.seed);
}

bool ItemSurvey::step(Scratch& scratch) {
  if (next_ < slots_.size()) status_ = recall_item(slots_[next_], scratch);
  return ++next_ < slots_.size() && status_.has_value();
}

Status ItemSurvey::recall_item(Slot slot, Scratch& scratch) {
  std::vector<float> item(store_.dim());
  store_.read(slot, item);
  if (!check_vector(item)) return {};  // damaged
  Recall recall;
  const RecallParams params{.options = params_.options, .top = 1, .items = params_.items};
  ENGRAM_TRY(recaller_.recall({.vector = item}, params, scratch, recall));
  const bool came_back = recall.attractor && recall.attractor->slot == slot && !recall.outside;
  recovered_.push_back(came_back ? 1 : 0);
  overlaps_.push_back(cosine(recall.state, item));
  steps_.push_back(static_cast<double>(recall.steps));
  if (!recall.energies.empty()) energies_.push_back(recall.energies.front());
  return {};
}

Result<Tuning> ItemSurvey::tuning() const {
  ENGRAM_TRY(status_);
  if (recovered_.empty()) {
    return fail(ErrorCode::kInvalidArgument, "there must be an item, to see whether it comes back");
  }
  return Tuning{{std::string(kItems), static_cast<double>(items_)},
                {std::string(kRecovered), mean(recovered_)},
                {std::string(kOverlap), mean(overlaps_)}};
}

std::vector<Fact> ItemSurvey::diagnosis() const {
  std::vector<Fact> facts;
  const auto add = [&](std::string_view name, double value) {
    facts.push_back({std::string(name), number_text(value)});
  };
  add(kItems, static_cast<double>(items_));
  add("sample", static_cast<double>(recovered_.size()));
  if (recovered_.empty()) return facts;
  add(kRecovered, mean(recovered_));
  add(kOverlap, mean(overlaps_));
  add("overlap-p10", quantile(overlaps_, 0.1));
  add("steps", mean(steps_));
  if (energies_.empty()) return facts;
  add("energy-median", quantile(energies_, 0.5));
  add("energy-p99", quantile(energies_, 0.99));
  return facts;
}

void SurveyedItems::adopt(const Tuning& tuning) {
  double items = 0;
  double recovered = 0;
  double overlap = 0;
  for (const auto& [name, number] : tuning) {
    if (!std::isfinite(number)) continue;
    if (name == kItems) items = number;
    if (name == kRecovered) recovered = number;
    if (name == kOverlap) overlap = number;
  }
  const std::lock_guard lock(mutex_);
  items_ = std::max(items, 0.0);
  recovered_ = recovered;
  overlap_ = overlap;
}

std::vector<Fact> SurveyedItems::describe(std::size_t items) const {
  const std::lock_guard lock(mutex_);
  if (!(items_ > 0)) return {};
  return {{std::string(kRecovered), number_text(recovered_)},
          {std::string(kOverlap), number_text(overlap_)},
          {"stale", is_stale(items_, items) ? "1" : "0"}};
}

}  // namespace engram::recall
