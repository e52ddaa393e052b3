// SPDX-License-Identifier: Apache-2.0
// What a search over partitions asks of each, and the one answer that comes of theirs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/result.h"
#include "server/resp/reply.h"

namespace engram::router {

/// How many answers each of `partitions` is asked for first, when `k` are wanted of all. Keys are
/// spread by a hash, so a partition holds k / P of the nearest k, give or take sqrt(k / P): three
/// times that and three more are seldom too few. Never more than k.
std::size_t first_k(std::size_t k, std::size_t partitions);

/// One answer: a key, its distance and what else the search was asked to tell, as the node spelled
/// them.
struct Hit {
  double distance;
  std::size_t partition;
  const Reply* fields;  ///< key, distance ...
};

/// The answers of one partition, closest first. Errors: kDataLoss unless they are rows of `stride`
/// fields of which the second is a number.
Result<std::vector<Hit>> hits_of(const Reply& rows, std::size_t stride, std::size_t partition);

/// How many queries a batch has, by what partitions answered to it (null: nothing). Errors:
/// kDataLoss unless it is as many of each.
Result<std::size_t> count_queries(std::span<const Reply* const> replies);

/// The `k` nearest of sorted lists, closest first; of equal ones that of the lower partition is
/// first.
std::vector<Hit> merge_hits(const std::vector<std::vector<Hit>>& lists, std::size_t k);

/// Which partitions may hold more of the `k` nearest than they have told: those that answered as
/// many as they were `asked` for, fewer than k, and whose last is no farther than the k-th of all.
/// When they have been asked for k, the merged answers are those of one index over all items.
std::vector<std::size_t> short_lists(const std::vector<std::vector<Hit>>& lists,
                                     const std::vector<std::size_t>& asked, std::size_t k);

}  // namespace engram::router
