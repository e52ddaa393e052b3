// SPDX-License-Identifier: Apache-2.0
#include "primitives/hnsw/select_neighbors.h"

#include <algorithm>
#include <array>

namespace engram::hnsw {
namespace {

/// Chosen neighbours per kernel call: whichever rules a candidate out is most often among the
/// first, and the kernel scores this many rows for little more than the price of one.
constexpr std::size_t kChunk = 8;

/// A list of fewer neighbours may look like a selection's by chance: eight that came one by one are
/// ascending once in 40,320 times.
constexpr std::size_t kTelling = 16;

/// Whether a candidate is ruled out by one that was chosen, given the distances of both to the base
/// and between them: the chosen one is closer to it than the base is. A tie does so only when all
/// three are equal, as among copies of one vector: then another copy adds no direction. Any other
/// tie keeps the candidate, because the base and the chosen one may be copies, and copies must not
/// shut out everything else.
bool rules_out(float chosen, float between, float candidate) {
  return between < candidate || (between == candidate && chosen == candidate);
}

/// Whether one that was chosen rules the candidate out.
bool is_ruled_out(const Bound& candidate, float score, const Selection& selection) {
  const std::span<const Slot> chosen = selection.chosen_slots;
  std::array<float, kChunk> between;
  for (std::size_t begin = 0; begin < chosen.size(); begin += kChunk) {
    const std::size_t count = std::min(kChunk, chosen.size() - begin);
    candidate.gather(chosen.subspan(begin, count), {between.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      if (rules_out(selection.chosen[begin + i].score, between[i], score)) return true;
    }
  }
  return false;
}

}  // namespace

void select_neighbors(const RowView& rows, std::span<const Hit> candidates, std::size_t m,
                      Selection& selection) {
  selection.chosen.clear();
  extend_selection(rows, candidates, m, selection);
}

void extend_selection(const RowView& rows, std::span<const Hit> candidates, std::size_t m,
                      Selection& selection) {
  auto& [chosen, chosen_slots, passed_over, scores, storage] = selection;
  if (chosen.size() + candidates.size() <= m) {  // there is room for all of them
    chosen.insert(chosen.end(), candidates.begin(), candidates.end());
    return;
  }
  passed_over.clear();
  chosen_slots.clear();
  for (const Hit& hit : chosen) chosen_slots.push_back(hit.slot);
  for (const Hit& candidate : candidates) {
    if (chosen.size() == m) return;
    const Bound bound = rows.to_slot(candidate.slot, storage);
    if (is_ruled_out(bound, candidate.score, selection)) {
      passed_over.push_back(candidate);
    } else {
      chosen.push_back(candidate);
      chosen_slots.push_back(candidate.slot);
    }
  }
  const std::size_t places = std::min(m - chosen.size(), passed_over.size());
  chosen.insert(chosen.end(), passed_over.begin(),
                passed_over.begin() + static_cast<std::ptrdiff_t>(places));
}

bool add_to_selection(const RowView& rows, std::span<const Hit> list, const Hit& neighbor,
                      ByPairHash order, Selection& selection) {
  const auto diverse_end = std::is_sorted_until(list.begin(), list.end(), order);
  const bool looks_selected = list.size() >= kTelling && diverse_end != list.end() &&
                              std::is_sorted(diverse_end, list.end(), order);
  if (!looks_selected) return false;
  const std::span<const Hit> diverse(list.begin(), diverse_end);

  auto& [chosen, slots, passed_over, scores, storage] = selection;
  slots.clear();
  for (const Hit& hit : diverse) slots.push_back(hit.slot);
  scores.resize(slots.size());
  rows.to_slot(neighbor.slot, storage).gather(slots, scores);
  bool is_diverse = true;
  for (std::size_t i = 0; i < diverse.size() && is_diverse; ++i) {
    const bool is_nearer = order(diverse[i], neighbor);
    if (is_nearer && rules_out(diverse[i].score, scores[i], neighbor.score)) {
      is_diverse = false;
    } else if (!is_nearer && rules_out(neighbor.score, scores[i], diverse[i].score)) {
      return false;
    }
  }
  chosen.assign(list.begin(), list.end());
  const auto middle = chosen.begin() + (diverse_end - list.begin());
  const auto place = is_diverse ? std::upper_bound(chosen.begin(), middle, neighbor, order)
                                : std::upper_bound(middle, chosen.end(), neighbor, order);
  chosen.insert(place, neighbor);
  chosen.pop_back();
  return true;
}

}  // namespace engram::hnsw
