// SPDX-License-Identifier: Apache-2.0
// The nearest of many rows, for block after block of queries: sketches are compared first, a piece
// of them for all queries of the block while a cache has it, and what may be near is measured at
// full length, likeliest first.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/groups/sketches.h"

namespace engram {

/// A row that may be near, by the score of its sketch.
struct Candidate {
  float score;
  std::uint32_t number;

  friend bool operator<(const Candidate& a, const Candidate& b) noexcept {
    return a.score < b.score || (a.score == b.score && a.number < b.number);
  }
};

/// The nearest that there is: of those at one distance, the first.
struct Nearest {
  static constexpr std::uint32_t kNone = 0xffffffffU;

  std::uint32_t number = kNone;
  double square;  ///< of its distance; before one is found: the most that it may be, inclusive

  void offer(std::uint32_t other, double other_square) noexcept {
    const bool is_nearer = other_square < square || (other_square == square && other < number);
    if (!is_nearer) return;
    number = other;
    square = other_square;
  }
};

/// Appends those of `sketches`, numbered from `first`, whose score with `query` is `limit` or less.
inline void collect(const Sketches& space, const Sketch& query, std::span<const Sketch> sketches,
                    std::size_t first, float limit, std::vector<Candidate>& candidates) {
  std::array<float, 256> scores;
  for (std::size_t begin = 0; begin < sketches.size(); begin += scores.size()) {
    const auto piece = sketches.subspan(begin, std::min(scores.size(), sketches.size() - begin));
    space.score(query, piece, {scores.data(), piece.size()});
    for (std::size_t i = 0; i < piece.size(); ++i) {
      if (scores[i] > limit) continue;
      candidates.push_back({scores[i], static_cast<std::uint32_t>(first + begin + i)});
    }
  }
}

/// What a step may do: about so many comparisons of sketches, of which a measurement at full length
/// is worth some.
class StepBudget {
 public:
  explicit StepBudget(std::size_t dim) noexcept : measurement_(1 + dim / Sketch::kAxes) {}

  [[nodiscard]] bool has_left() const noexcept { return spent_ < kMost; }
  void compared(std::size_t pairs) noexcept { spent_ += pairs; }
  void measured(std::size_t pairs) noexcept { spent_ += pairs * measurement_; }

 private:
  static constexpr std::size_t kMost = std::size_t{1} << 18;

  const std::size_t measurement_;
  std::size_t spent_ = 0;
};

/// Offers to `nearest` those of `candidates`, which it uses up, that may be as near as it is;
/// row_of(number): the float32 row of one. False: the budget was spent before the end, and another
/// call goes on.
template <class RowOf>
bool measure_nearest(const Sketches& space, const std::byte* query,
                     std::vector<Candidate>& candidates, RowOf&& row_of, StepBudget& budget,
                     Nearest& nearest) {
  constexpr std::size_t kBatch = 8;
  std::array<const std::byte*, kBatch> rows;
  std::array<double, kBatch> squares;
  std::array<std::uint32_t, kBatch> numbers;
  const auto is_after = [](const Candidate& a, const Candidate& b) { return b < a; };
  std::make_heap(candidates.begin(), candidates.end(), is_after);
  while (!candidates.empty()) {
    if (!budget.has_left()) return false;
    const float limit = space.limit(std::sqrt(nearest.square));
    std::size_t count = 0;
    for (; count < kBatch && !candidates.empty(); ++count) {
      if (candidates.front().score > limit) break;
      std::pop_heap(candidates.begin(), candidates.end(), is_after);
      numbers[count] = candidates.back().number;
      rows[count] = row_of(numbers[count], count);
      candidates.pop_back();
    }
    if (count == 0) break;
    space.measure(query, {rows.data(), count}, {squares.data(), count});
    for (std::size_t i = 0; i < count; ++i) nearest.offer(numbers[i], squares[i]);
    budget.measured(count);
  }
  candidates.clear();
  return true;
}

}  // namespace engram
