// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/bound.h"
#include "core/slot.h"

namespace engram::hnsw {

/// The reusable memory of a selection, and its result.
struct Selection {
  std::vector<Hit> chosen;  ///< the result, with scores to the base: diverse ones first
  std::vector<Slot> chosen_slots;
  std::vector<Hit> passed_over;
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

}  // namespace engram::hnsw
