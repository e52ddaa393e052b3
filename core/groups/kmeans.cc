// SPDX-License-Identifier: Apache-2.0
#include "core/groups/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "core/hash.h"

namespace engram {

namespace {

constexpr float kFarthest = std::numeric_limits<float>::infinity();

}  // namespace

KMeansGrouping::KMeansGrouping(Sketches& space, const GroupedItems& items,
                               const GroupingParams& params, std::unique_ptr<RowAlgebra> algebra)
    : space_(space),
      items_(items),
      params_(params),
      algebra_(std::move(algebra)),
      sum_(space.rows().row_bytes() / sizeof(float)),
      nearest_(kBlock),
      limits_(kBlock),
      candidates_(kBlock) {
  if (params_.clusters == 0) leader_.emplace(space_, params_.radius);
  places_.reserve(space_.rows().row_bytes());
}

bool KMeansGrouping::step() {
  switch (phase_) {
    case Phase::kSketching:
      if (size() == 0) {
        phase_ = Phase::kEnded;
      } else if (!space_.step()) {
        phase_ = leader_ ? Phase::kLeading : Phase::kDrawing;
      }
      break;
    case Phase::kLeading:
      if (leader_->step()) break;
      labels_ = leader_->take_groups();
      leader_.reset();
      begin_round();
      break;
    case Phase::kDrawing:
      draw();
      begin_round();
      break;
    case Phase::kPlacing:
      place_some();
      break;
    case Phase::kMoving:
      move_some();
      break;
    case Phase::kAssigning:
      assign_some();
      break;
    case Phase::kEnded:
      break;
  }
  return phase_ != Phase::kEnded;
}

std::size_t KMeansGrouping::progress() const noexcept {
  if (phase_ == Phase::kEnded) return progress_end();
  if (phase_ == Phase::kLeading) return leader_->progress();
  if (phase_ == Phase::kPlacing) return 2 * size();  // which costs little
  return space_.done() + (phase_ >= Phase::kMoving ? size() * (1 + rounds_) : 0) + next_;
}

std::size_t KMeansGrouping::progress_end() const noexcept {
  return (2 + kMostRounds) * size();
}

std::vector<std::uint32_t> KMeansGrouping::take_groups() {
  return in_order_of_first(std::move(labels_));
}

/// Centres that begin at items: those whose hashes are least.
void KMeansGrouping::draw() {
  std::vector<std::uint32_t> drawn(size());
  std::iota(drawn.begin(), drawn.end(), 0U);
  const std::size_t count = std::min(params_.clusters, size());
  const auto rank = [this](std::uint32_t item) {
    return std::pair(mix(items_.identities[item] ^ mix(params_.seed)), item);
  };
  std::nth_element(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(count) - 1,
                   drawn.end(), [&](auto a, auto b) { return rank(a) < rank(b); });
  drawn.resize(count);
  std::sort(drawn.begin(), drawn.end());
  labels_.assign(size(), 0);
  for (const std::uint32_t item : drawn) drawn_.push_back({item});
}

const std::byte* KMeansGrouping::centre(std::size_t number) const noexcept {
  return const_cast<AlignedBuffer&>(centres_).reserve(0) + number * space_.rows().row_bytes();
}

void KMeansGrouping::begin_round() {
  const bool is_first = members_.empty();
  members_ = is_first && !drawn_.empty() ? drawn_ : members_of(labels_);
  if (is_first) {
    const std::size_t bytes = members_.size() * space_.rows().row_bytes();
    std::fill_n(centres_.reserve(bytes), bytes, std::byte{0});
    sketches_.resize(members_.size());
  }
  members_.resize(sketches_.size());  // the last may have lost all theirs
  moved_ = next_ = passed_ = settled_ = changes_ = 0;
  phase_ = Phase::kMoving;
}

/// A centre that nobody has joined stays where it is.
void KMeansGrouping::move_some() {
  constexpr std::size_t kRowsPerStep = 2048;
  const std::size_t bytes = space_.rows().row_bytes();
  std::byte* const centres = centres_.reserve(0);
  for (std::size_t seen = 0; seen < kRowsPerStep && moved_ < members_.size(); ++moved_) {
    const auto& members = members_[moved_];
    seen += 1 + members.size();
    if (members.empty()) continue;
    std::fill(sum_.begin(), sum_.end(), 0.0);
    std::array<double, Sketch::kAxes> along{};
    for_each_share(items_, members, [&](std::uint32_t item, double share) {
      const std::byte* const row = space_.rows().at(item, places_.reserve(0));
      algebra_->add_rows({&share, 1}, {&row, 1}, sum_);
      for (std::size_t k = 0; k < along.size(); ++k) along[k] += share * space_.of(item).along[k];
    });
    auto* const centre = reinterpret_cast<float*>(centres + moved_ * bytes);
    std::transform(sum_.begin(), sum_.end(), centre,
                   [](double x) { return static_cast<float>(x); });
    std::transform(along.begin(), along.end(), sketches_[moved_].along.begin(),
                   [](double x) { return static_cast<float>(x); });
  }
  if (moved_ < members_.size()) return;
  phase_ = drawn_.empty() ? Phase::kAssigning : Phase::kPlacing;
  drawn_.clear();
}

/// Items that are nowhere yet begin at the centre whose sketch is nearest.
void KMeansGrouping::place_some() {
  StepBudget budget(space_.rows().dim());
  std::array<float, kPiece> scores;
  while (next_ < size() && budget.has_left()) {
    const std::size_t items = std::min(kBlock, size() - next_);
    if (passed_ == 0) std::fill(limits_.begin(), limits_.end(), kFarthest);
    const std::size_t count = std::min(kPiece, sketches_.size() - passed_);
    for (std::size_t i = 0; i < items; ++i) {
      space_.score(space_.of(next_ + i), {&sketches_[passed_], count}, {scores.data(), count});
      for (std::size_t number = 0; number < count; ++number) {
        if (!(scores[number] < limits_[i])) continue;
        limits_[i] = scores[number];
        labels_[next_ + i] = static_cast<std::uint32_t>(passed_ + number);
      }
    }
    passed_ += count;
    budget.compared(count * items);
    if (passed_ < sketches_.size()) continue;
    next_ += items;
    passed_ = 0;
  }
  if (next_ < size()) return;
  next_ = 0;
  phase_ = Phase::kAssigning;
}

void KMeansGrouping::assign_some() {
  StepBudget budget(space_.rows().dim());
  while (next_ < size() && budget.has_left()) {
    const std::size_t items = std::min(kBlock, size() - next_);
    if (passed_ == 0 && settled_ == 0) {  // where an item is, it may stay
      for (std::size_t i = 0; i < items; ++i) {
        const std::uint32_t label = labels_[next_ + i];
        const std::byte* const row = centre(label);
        double square;
        space_.measure(space_.rows().at(next_ + i, places_.reserve(0)), {&row, 1}, {&square, 1});
        nearest_[i] = {label, square};
        limits_[i] = space_.limit(std::sqrt(square));
      }
      budget.measured(items);
    }
    if (passed_ < sketches_.size()) {
      const std::size_t count = std::min(kPiece, sketches_.size() - passed_);
      const std::span<const Sketch> piece(&sketches_[passed_], count);
      for (std::size_t i = 0; i < items; ++i) {
        collect(space_, space_.of(next_ + i), piece, passed_, limits_[i], candidates_[i]);
      }
      passed_ += count;
      budget.compared(count * items);
    }
    if (passed_ == sketches_.size()) settle_some(budget);
  }
  if (next_ == size()) end_round();
}

void KMeansGrouping::settle_some(StepBudget& budget) {
  const std::size_t items = std::min(kBlock, size() - next_);
  const auto row_of = [&](std::uint32_t number, std::size_t) { return centre(number); };
  for (; settled_ < items; ++settled_) {
    const std::byte* const row = space_.rows().at(next_ + settled_, places_.reserve(0));
    Nearest& nearest = nearest_[settled_];
    if (!measure_nearest(space_, row, candidates_[settled_], row_of, budget, nearest)) return;
    std::uint32_t& label = labels_[next_ + settled_];
    if (label != nearest.number) ++changes_;
    label = nearest.number;
  }
  next_ += items;
  passed_ = settled_ = 0;
}

void KMeansGrouping::end_round() {
  ++rounds_;
  if (changes_ == 0 || rounds_ == kMostRounds) {
    next_ = 0;
    phase_ = Phase::kEnded;
  } else {
    begin_round();
  }
}

}  // namespace engram
