// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/select_neighbors.h"

#include <algorithm>
#include <array>

namespace engram::hnsw {
namespace {

/// Chosen neighbours per kernel call: whichever rules a candidate out is most often among the
/// first, and the kernel scores this many rows for little more than the price of one. With eight
/// an insert took 3 % longer on images.
constexpr std::size_t kChunk = 4;

/// Whether a candidate is ruled out by one that was chosen, given the distances of both to the base
/// and between them: the chosen one is closer to it than the base is. A tie does so only when all
/// three are equal, as among copies of one vector: then another copy adds no direction. Any other
/// tie keeps the candidate, because the base and the chosen one may be copies, and copies must not
/// shut out everything else.
bool rules_out(const Hit& chosen, float between, const Hit& candidate) {
  return between < candidate.score ||
         (between == candidate.score && chosen.score == candidate.score);
}

/// Whether one that was chosen rules the candidate out, to which `bound` is bound.
bool is_ruled_out(const Bound& bound, const Hit& candidate, const Selection& selection) {
  const std::span<const Slot> chosen = selection.chosen_slots;
  std::array<float, kChunk> between;
  for (std::size_t begin = 0; begin < chosen.size(); begin += kChunk) {
    const std::size_t count = std::min(kChunk, chosen.size() - begin);
    bound.gather(chosen.subspan(begin, count), {between.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      if (rules_out(selection.chosen[begin + i], between[i], candidate)) return true;
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
  auto& [chosen, chosen_slots, passed_over, between, storage] = selection;
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
    if (is_ruled_out(bound, candidate, selection)) {
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

bool add_to_selection(const RowView& rows, std::span<const Hit> candidates, ByPairHash order,
                      Selection& selection) {
  const Hit added = candidates.back();
  const auto list = candidates.first(candidates.size() - 1);
  const auto diverse_end = std::is_sorted_until(list.begin(), list.end(), order);
  if (diverse_end == list.end() || !std::is_sorted(diverse_end, list.end(), order)) return false;
  const std::span<const Hit> diverse(list.begin(), diverse_end);

  auto& [chosen, chosen_slots, passed_over, between, storage] = selection;
  chosen_slots.clear();
  for (const Hit& hit : diverse) chosen_slots.push_back(hit.slot);
  between.resize(diverse.size());
  rows.to_slot(added.slot, storage).gather(chosen_slots, between);
  bool is_diverse = true;
  for (std::size_t i = 0; i < diverse.size() && is_diverse; ++i) {
    if (order(diverse[i], added)) {
      is_diverse = !rules_out(diverse[i], between[i], added);
    } else if (rules_out(added, between[i], diverse[i])) {
      return false;
    }
  }
  chosen.assign(list.begin(), list.end());
  const auto middle = chosen.begin() + (diverse_end - list.begin());
  const auto place = is_diverse ? std::upper_bound(chosen.begin(), middle, added, order)
                                : std::upper_bound(middle, chosen.end(), added, order);
  chosen.insert(place, added);
  chosen.pop_back();
  return true;
}

}  // namespace engram::hnsw
