// SPDX-License-Identifier: Apache-2.0
#include "primitives/hnsw/select_neighbors.h"

#include <algorithm>
#include <array>

namespace engram::hnsw {
namespace {

/// Chosen neighbours per kernel call: whichever rules a candidate out is most often among the
/// first, and the kernel scores this many rows for little more than the price of one.
constexpr std::size_t kChunk = 8;

/// Whether one that was chosen is closer to the candidate than the base is. A tie rules it out only
/// when all three distances are equal, as among copies of one vector: then another copy adds no
/// direction. Any other tie keeps the candidate, because the base and the chosen one may be copies,
/// and copies must not shut out everything else.
bool is_ruled_out(const Bound& candidate, float score, const Selection& selection) {
  const std::span<const Slot> chosen = selection.chosen_slots;
  std::array<float, kChunk> between;
  for (std::size_t begin = 0; begin < chosen.size(); begin += kChunk) {
    const std::size_t count = std::min(kChunk, chosen.size() - begin);
    candidate.gather(chosen.subspan(begin, count), {between.data(), count});
    for (std::size_t i = 0; i < count; ++i) {
      if (between[i] < score) return true;
      if (between[i] == score && selection.chosen[begin + i].score == score) return true;
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
  auto& [chosen, chosen_slots, passed_over, storage] = selection;
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

}  // namespace engram::hnsw
