// SPDX-License-Identifier: Apache-2.0
// Exact search for many queries at once, over rows coded as bytes on the way.
#pragma once

#include <span>

#include "core/index.h"
#include "core/slot_set.h"
#include "core/top_k.h"
#include "primitives/flat/byte_product.h"

namespace engram::flat {

/// Offers to nearest[i] what of `held` may be among the nearest to queries[i], with the kernel's
/// scores, or effective ones if there is a bias, of which the kernel's are a lower bound: all that
/// scan_into() would not have refused. The derivation is in README.md, "Batches".
void scan_coded(const IndexContext& context, const ByteProduct& product, const SlotSet& held,
                std::span<const Query> queries, const ScoreBias* bias, Scratch& scratch,
                std::span<TopK> nearest);

}  // namespace engram::flat
