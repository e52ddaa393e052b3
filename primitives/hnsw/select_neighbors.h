// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/bound.h"
#include "core/slot.h"
#include "primitives/hnsw/order.h"

namespace engram::hnsw {

/// The reusable memory of a selection, and its result.
struct Selection {
  std::vector<Hit> chosen;  ///< the result, with scores to the base: diverse ones first
  std::vector<Slot> chosen_slots;
  std::vector<Hit> passed_over;
  std::vector<float> scores;
  AlignedBuffer candidate_query;
};

/// Chooses at most `m` neighbours for a base node among `candidates`, such that they lie in
/// different directions: a candidate that is closer to a chosen one than to the base is passed
/// over, because the walk will find it through that one. Places that are left go to the nearest of
/// those passed over. Source: [Malkov2018] Alg. 4 with extendCandidates = false,
/// keepPrunedConnections = true. Of equal scores, the paper says nothing that helps equal vectors:
/// see README.md, "Deviations". candidates: [n] with their scores to the base, in the order
/// ByPairHash of the base; neither the base nor duplicates among them. Leaves the result in
/// selection.chosen. Cost: at most n * m distances. Any thread.
void select_neighbors(const RowView& rows, std::span<const Hit> candidates, std::size_t m,
                      Selection& selection);

/// The same beside neighbours that are there to stay: selection.chosen holds them on entry, with
/// their scores, and is extended to at most `m`. candidates: none of them.
void extend_selection(const RowView& rows, std::span<const Hit> candidates, std::size_t m,
                      Selection& selection);

/// What select_neighbors() would choose among `list` and `neighbor` for as many places as the list
/// has, at the price of comparing the new one with the diverse ones. list: [n], as such a selection
/// left it: the diverse, ascending, then those passed over, ascending. order: of the base. Leaves
/// the result in selection.chosen, or returns false: if the list does not look so (one whose first
/// were not passed over has no end of the diverse), if it is too short to tell, or if the new one
/// rules out others, which may let in still others. Any thread.
bool add_to_selection(const RowView& rows, std::span<const Hit> list, const Hit& neighbor,
                      ByPairHash order, Selection& selection);

}  // namespace engram::hnsw
