// SPDX-License-Identifier: Apache-2.0
#include "core/groups/mean_shift.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/hash.h"

namespace engram {

MeanShiftGrouping::MeanShiftGrouping(Sketches& space, const GroupedItems& items, double radius,
                                     std::unique_ptr<RowAlgebra> algebra)
    : space_(space),
      items_(items),
      square_(radius * radius),
      algebra_(std::move(algebra)),
      sum_(space.rows().row_bytes() / sizeof(float)) {
  state_row_.reserve(space_.rows().row_bytes());
  places_.reserve(8 * space_.rows().row_bytes());
}

bool MeanShiftGrouping::step() {
  if (space_.done() < size()) {
    if (!space_.step()) begin_item();
    return true;
  }
  StepBudget budget(space_.rows().dim());
  while (next_ < size() && budget.has_left()) look(budget);
  return next_ < size();
}

std::vector<std::uint32_t> MeanShiftGrouping::take_groups() {
  return in_order_of_first(std::move(labels_));
}

void MeanShiftGrouping::look_anew() {
  looked_ = measured_ = 0;
  candidates_.clear();
  near_.clear();
}

void MeanShiftGrouping::begin_item() {
  way_.clear();
  look_anew();
  if (next_ == size()) return;
  const std::byte* const row = space_.rows().at(next_, places_.reserve(0));
  std::memcpy(state_row_.reserve(0), row, space_.rows().row_bytes());
  state_ = space_.of(next_);
}

/// Compares the state with the next items, measures those that may be near, and when it has met
/// them all lets it follow.
void MeanShiftGrouping::look(StepBudget& budget) {
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  if (looked_ < size()) {
    const std::size_t count = std::min(kPiece, size() - looked_);
    collect(space_, state_, space_.all().subspan(looked_, count), looked_,
            space_.limit(std::sqrt(square_)), candidates_);
    looked_ += count;
    budget.compared(count);
    if (looked_ < size()) return;
  }
  constexpr std::size_t kBatch = 8;
  std::array<const std::byte*, kBatch> rows;
  std::array<double, kBatch> squares;
  const std::size_t bytes = space_.rows().row_bytes();
  for (; measured_ < candidates_.size() && budget.has_left(); measured_ += kBatch) {
    const std::size_t some = std::min(kBatch, candidates_.size() - measured_);
    for (std::size_t i = 0; i < some; ++i) {
      rows[i] = space_.rows().at(candidates_[measured_ + i].number, places_.reserve(0) + i * bytes);
    }
    space_.measure(state_row_.reserve(0), {rows.data(), some}, {squares.data(), some});
    for (std::size_t i = 0; i < some; ++i) {
      const bool is_near = squares[i] < square_ || squares[i] == 0;
      if (is_near) near_.push_back(candidates_[measured_ + i].number);
    }
    budget.measured(some);
  }
  if (measured_ >= candidates_.size()) follow();
}

void MeanShiftGrouping::follow() {
  Support support;
  for (const std::uint32_t item : near_) {
    support.a += mix(item);
    support.b += mix(~std::uint64_t{item});
  }
  const auto found = known_.find(support);
  if (found != known_.end()) return rest(found->second);
  const bool is_at_rest = !way_.empty() && way_.back() == support;
  if (is_at_rest || near_.empty() || way_.size() == kMostSteps) {
    way_.push_back(support);
    return rest(groups_++);
  }
  way_.push_back(support);
  std::fill(sum_.begin(), sum_.end(), 0.0);
  std::array<double, Sketch::kAxes> along{};
  for_each_share(items_, near_, [&](std::uint32_t item, double share) {
    const std::byte* const row = space_.rows().at(item, places_.reserve(0));
    algebra_->add_rows({&share, 1}, {&row, 1}, sum_);
    for (std::size_t k = 0; k < along.size(); ++k) along[k] += share * space_.of(item).along[k];
  });
  auto* const state = reinterpret_cast<float*>(state_row_.reserve(0));
  std::transform(sum_.begin(), sum_.end(), state, [](double x) { return static_cast<float>(x); });
  std::transform(along.begin(), along.end(), state_.along.begin(),
                 [](double x) { return static_cast<float>(x); });
  look_anew();
}

/// All that the item met on its way leads where it has come to rest.
void MeanShiftGrouping::rest(std::uint32_t group) {
  for (const Support& support : way_) known_.emplace(support, group);
  labels_.push_back(group);
  ++next_;
  begin_item();
}

}  // namespace engram
