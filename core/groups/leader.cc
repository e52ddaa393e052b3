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
    if (passed_ < seeds_.size()) {
      pass_piece(budget);
    } else {
      settle_block(budget);
    }
  }
  return next_ < size();
}

void LeaderGrouping::pass_piece(StepBudget& budget) {
  const std::size_t count = std::min(kPiece, seeds_.size() - passed_);
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
void LeaderGrouping::settle_block(StepBudget& budget) {
  const std::size_t begin = passed_;
  const std::size_t end = std::min(next_ + kBlock, size());
  const float limit = space_.limit(std::sqrt(square_));
  const std::size_t bytes = space_.rows().row_bytes();
  std::byte* const places = places_.reserve(0);
  const auto row_of = [&](std::uint32_t seed, std::size_t place) {
    return space_.rows().at(seed_items_[seed], places + (1 + place) * bytes);
  };
  for (std::size_t item = next_; item < end; ++item) {
    auto& candidates = candidates_[item - next_];
    collect(space_, space_.of(item), std::span(seeds_).subspan(begin), begin, limit, candidates);
    Nearest nearest = {.square = square_};
    budget.measured(
        measure_nearest(space_, space_.rows().at(item, places), candidates, row_of, nearest));
    if (nearest.number == Nearest::kNone) {
      nearest.number = static_cast<std::uint32_t>(seeds_.size());
      seeds_.push_back(space_.of(item));
      seed_items_.push_back(static_cast<std::uint32_t>(item));
    }
    labels_.push_back(nearest.number);
  }
  next_ = end;
  passed_ = 0;
}

}  // namespace engram
