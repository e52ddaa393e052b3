// SPDX-License-Identifier: Apache-2.0
#include "primitives/flat/batch_scan.h"

#include <algorithm>

#include "core/biased_top_k.h"
#include "core/bound.h"
#include "core/exact_scan.h"
#include "core/item_filter.h"
#include "core/top_k.h"
#include "primitives/flat/byte_product.h"
#include "primitives/flat/coded_scan.h"

namespace engram::flat {
namespace {

/// Bytes of rows that stay in the second-level cache while all queries meet them.
constexpr std::size_t kRowBlockBytes = std::size_t{256} << 10;

/// collector(TopK&): what is offered to for it, a TopK& or a BiasedTopK.
template <class Collector>
void scan_blocks(const IndexContext& context, const SlotSet& held, std::span<const Query> queries,
                 std::span<TopK> nearest, Collector collector) {
  const Slot end = context.store.slot_end();
  const auto rows =
      static_cast<Slot>(std::max<std::size_t>(16, kRowBlockBytes / context.store.row_bytes()));
  for (Slot begin = 0; begin < end; begin += rows) {
    const Slot stop = std::min<Slot>(begin + rows, end);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const Bound bound(context.kernel, queries[i], context.store);
      auto&& offered = collector(nearest[i]);
      scan_into(bound, held, begin, stop, offered);
    }
  }
}

struct BatchScratch {
  std::vector<TopK> nearest;  // [query]
  SlotSet accepted;
};

}  // namespace

Status scan_batch(const IndexContext& context, const SlotSet& all, std::span<const Query> queries,
                  const SearchParams& params, Scratch& scratch, std::span<std::vector<Hit>> hits) {
  auto& batch = scratch.get<BatchScratch>();
  if (params.items != nullptr) {
    ENGRAM_TRY(batch.accepted.assign(all, [&](Slot first, std::uint64_t bits) {
      return params.items->select_word(first, bits);
    }));
  }
  const SlotSet& held = params.items == nullptr ? all : batch.accepted;
  if (params.effort != nullptr && params.k > 0) {
    params.effort->scored += held.size() * queries.size();
  }
  auto& nearest = batch.nearest;
  nearest.clear();
  for (std::vector<Hit>& answer : hits) nearest.emplace_back(params.k, answer, params.max_score);
  const auto products = byte_products();
  const bool stores_vectors = context.store.element() == Element::kF32;
  if (!stores_vectors || params.k == 0 || queries.size() < kCodedQueries || products.empty()) {
    if (params.bias == nullptr) {
      scan_blocks(context, held, queries, nearest, [](TopK& plain) -> TopK& { return plain; });
    } else {
      scan_blocks(context, held, queries, nearest,
                  [&](TopK& plain) { return BiasedTopK(plain, *params.bias); });
    }
  } else {
    scan_coded(context, products.front(), held, queries, params.bias, scratch, nearest);
  }
  for (TopK& answer : nearest) answer.finish();
  return {};
}

}  // namespace engram::flat
