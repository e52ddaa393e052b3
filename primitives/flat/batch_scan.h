// SPDX-License-Identifier: Apache-2.0
// Exact search for many queries at once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/slot_set.h"

namespace engram::flat {

/// The batch from which best_product() is faster than scanning block by block. Measured: README.md.
inline constexpr std::size_t kProductQueries = 32;

/// Fills hits[i] with what scan_nearest() would answer for queries[i], bit for bit.
///
/// Rows come from memory once per batch, not once per query: each block of them, small enough for
/// the cache, meets all queries before the next. From kProductQueries queries on, a block meets
/// them as one matrix product, which keeps more of both in registers. The product adds up in
/// another order than the kernel, so it only filters: what may be among the k nearest, by a bound
/// on the rounding errors of both, is scored by the kernel. See README.md for the bound.
void scan_batch(const IndexContext& context, const SlotSet& held, std::span<const Query> queries,
                std::size_t k, Scratch& scratch, std::span<std::vector<Hit>> hits);

}  // namespace engram::flat
