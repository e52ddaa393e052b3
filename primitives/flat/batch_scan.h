// SPDX-License-Identifier: Apache-2.0
// Exact search for many queries at once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/slot_set.h"

namespace engram::flat {

/// The batch from which coding rows is faster than scanning block by block. Measured: README.md.
inline constexpr std::size_t kCodedQueries = 16;

/// Fills hits[i] with what scan_nearest() would answer for queries[i], bit for bit.
///
/// Rows come from memory once per batch, not once per query: each block of them, small enough for
/// the cache, meets all queries before the next. From kCodedQueries queries on, where the machine
/// multiplies bytes fast, a block is coded as bytes and multiplied by all queries. The product only
/// filters: what may be among the k nearest, by a bound on all errors, is scored by the kernel. See
/// README.md for the bound.
///
/// A filter is asked once for all of them. Errors: kResourceExhausted, only with a filter.
Status scan_batch(const IndexContext& context, const SlotSet& held, std::span<const Query> queries,
                  const SearchParams& params, Scratch& scratch, std::span<std::vector<Hit>> hits);

}  // namespace engram::flat
