// SPDX-License-Identifier: Apache-2.0
#include "core/groups/leader.h"

#include <algorithm>
#include <cmath>

namespace engram {

LeaderGrouping::LeaderGrouping(Sketches& space, double radius)
    : space_(space), square_(radius * radius), candidates_(kBlock) {
  places_.reserve(9 * space_.rows().row_bytes());
}

bool LeaderGrouping::step() {
  if (space_.done() < size()) {
    space_.step();
    return true;
  }
  StepBudget budget(space_.rows().dim());
  while (next_ < size() && budget.has_left()) {
    if (passed_ < known_) {
      pass_piece(budget);
    } else {
      settle_some(budget);
    }
  }
  return next_ < size();
}

void LeaderGrouping::pass_piece(StepBudget& budget) {
  const std::size_t count = std::min(kPiece, known_ - passed_);
  const std::size_t items = std::min(kBlock, size() - next_);
  const float limit = space_.limit(std::sqrt(square_));
  const std::span<const Sketch> piece(&seeds_[passed_], count);
  for (std::size_t i = 0; i < items; ++i) {
    collect(space_, space_.of(next_ + i), piece, passed_, limit, candidates_[i]);
  }
  passed_ += count;
  budget.compared(count * items);
}

/// The block has met all seeds that there were before it. Its items meet those that it brings
/// itself one by one.
void LeaderGrouping::settle_some(StepBudget& budget) {
  const std::size_t end = std::min(next_ + kBlock, size());
  const std::size_t bytes = space_.rows().row_bytes();
  std::byte* const places = places_.reserve(0);
  const auto row_of = [&](std::uint32_t seed, std::size_t place) {
    return space_.rows().at(seed_items_[seed], places + (1 + place) * bytes);
  };
  while (labels_.size() < end) {
    const std::size_t item = labels_.size();
    auto& candidates = candidates_[item - next_];
    if (!nearest_) {
      if (!budget.has_left()) return;
      collect(space_, space_.of(item), std::span(seeds_).subspan(known_), known_,
              space_.limit(std::sqrt(square_)), candidates);
      nearest_ = Nearest{.square = square_};
    }
    const std::byte* const row = space_.rows().at(item, places);
    if (!measure_nearest(space_, row, candidates, row_of, budget, *nearest_)) return;
    std::uint32_t leader = nearest_->number;
    nearest_.reset();
    if (leader == Nearest::kNone) {
      leader = static_cast<std::uint32_t>(seeds_.size());
      seeds_.push_back(space_.of(item));
      seed_items_.push_back(static_cast<std::uint32_t>(item));
    }
    labels_.push_back(leader);
  }
  next_ = end;
  passed_ = 0;
  known_ = seeds_.size();
}

}  // namespace engram
