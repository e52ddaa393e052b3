// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/bound.h"
#include "core/slot.h"
#include "primitives/shared/hnsw/order.h"

namespace engram::hnsw {

/// The reusable memory of a selection, and its result.
struct Selection {
  std::vector<Hit> chosen;  ///< the result, with scores to the base: diverse ones first
  std::vector<Slot> chosen_slots;
  std::vector<Hit> passed_over;
  std::vector<float> between;
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

/// Chooses n - 1 of n candidates as select_neighbors() does, where the first n - 1 are, in this
/// order, what it chose from them and others: the diverse ones, then those passed over. Only the
/// last, the new one, has to be compared then, with the diverse ones. candidates: [n], with scores
/// to the base. order: of the base. Leaves the result in selection.chosen; or returns false where
/// that is not enough: if the new one rules out others, which may let in still others, or if
/// nothing shows where the diverse ones end, because none of those passed over is nearer than all
/// of these. What codes make of two rows depends, in the last bits, on which is the query; so may
/// the choice by them. Any thread.
bool add_to_selection(const RowView& rows, std::span<const Hit> candidates, ByPairHash order,
                      Selection& selection);

}  // namespace engram::hnsw
