// SPDX-License-Identifier: Apache-2.0
#include "primitives/flat/coded_scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "core/biased_top_k.h"
#include "core/bound.h"
#include "primitives/flat/coded_vectors.h"

namespace engram::flat {
namespace {

/// Queries that rows are coded for at once. More would take more memory for little: coding is a
/// small part of the work already.
constexpr std::size_t kGroup = 1024;

/// Bytes of codes that stay in the second-level cache while all queries meet them.
constexpr std::size_t kCodeBlockBytes = std::size_t{256} << 10;

/// The first block is small and the next ones grow, because until k rows have been scored all
/// survive, and soon after that few do.
constexpr std::size_t kLeastBlock = 64;
constexpr std::size_t kMostBlock = 1024;

/// Rows of which the centre is the mean.
constexpr std::size_t kSample = 256;

struct CodedScratch {
  CodedQueries queries;
  CodedRows rows;
  std::vector<float> centre;
  std::vector<Slot> block;
  std::vector<std::vector<Slot>> candidates;  // [query of a tile]
  std::vector<float> scores;
};

/// The mean of some rows spread over `held`. Distances are the same from anywhere, and errors are
/// relative to the distance from the centre.
void find_centre(const VectorStore& store, const SlotSet& held, std::vector<float>& centre) {
  const std::size_t floats = store.row_bytes() / sizeof(float);
  std::vector<double> sum(floats);
  const std::size_t step = held.size() / kSample + 1;
  std::size_t seen = 0;
  std::size_t taken = 0;
  held.for_each(0, store.slot_end(), [&](Slot slot) {
    if (seen++ % step != 0) return;
    ++taken;
    const auto* const row = reinterpret_cast<const float*>(store.row(slot));
    for (std::size_t d = 0; d < floats; ++d) sum[d] += double{row[d]};
  });
  centre.resize(floats);
  const double count = static_cast<double>(std::max<std::size_t>(taken, 1));
  std::transform(sum.begin(), sum.end(), centre.begin(),
                 [&](double total) { return static_cast<float>(total / count); });
}

/// Up to kGroup queries against all rows.
class CodedScan {
 public:
  CodedScan(const IndexContext& context, const ByteProduct& product, std::span<const Query> queries,
            const ScoreBias* bias, std::span<TopK> nearest, CodedScratch& scratch)
      : context_(context),
        product_(product),
        queries_(queries),
        bias_(bias),
        nearest_(nearest),
        scratch_(scratch),
        shape_{context.store.metric(), context.store.dim(), scratch.centre} {
    scratch_.queries.assign(product_, shape_, queries_);
    scratch_.candidates.resize(product_.tile_queries);
  }

  /// Only held rows are read: others may be in the middle of being written.
  void run(const SlotSet& held) {
    const std::size_t most =
        std::clamp(kCodeBlockBytes / (shape_.words() * kWordBytes), kLeastBlock, kMostBlock);
    std::size_t size = kLeastBlock;
    auto& block = scratch_.block;
    block.clear();
    held.for_each(0, context_.store.slot_end(), [&](Slot slot) {
      block.push_back(slot);
      if (block.size() < size) return;
      meet(block);
      block.clear();
      size = std::min(2 * size, most / kLeastBlock * kLeastBlock);
    });
    if (!block.empty()) meet(block);
  }

 private:
  /// One block of rows against all queries.
  void meet(std::span<const Slot> block) {
    scratch_.rows.assign(product_, shape_, context_.store, block);
    for (std::size_t begin = 0; begin < queries_.size(); begin += product_.tile_queries) {
      const std::size_t count = std::min(product_.tile_queries, queries_.size() - begin);
      for (std::size_t i = begin; i < begin + count; ++i) {
        scratch_.queries.set_threshold(i, nearest_[i].threshold(), scratch_.rows.extent());
      }
      find_candidates(begin, count, block);
      for (std::size_t i = 0; i < count; ++i) offer(begin + i, scratch_.candidates[i]);
    }
  }

  void find_candidates(std::size_t begin, std::size_t count, std::span<const Slot> block) {
    for (std::vector<Slot>& list : scratch_.candidates) list.clear();
    const QueryTile tile = scratch_.queries.tile(begin);
    std::array<std::uint32_t, kMaxTileQueries> survivors;
    for (std::size_t row = 0; row < block.size(); row += product_.panel_rows) {
      const RowPanel panel = scratch_.rows.panel(row);
      if (!product_.filter(tile, panel, shape_.words(), survivors.data())) continue;
      for (std::size_t i = 0; i < count; ++i) {
        for (std::uint32_t bits = survivors[i]; bits != 0; bits &= bits - 1) {
          const std::size_t member = row + static_cast<std::size_t>(std::countr_zero(bits));
          if (member < block.size()) scratch_.candidates[i].push_back(block[member]);
        }
      }
    }
  }

  void offer(std::size_t i, std::span<const Slot> candidates) {
    if (candidates.empty()) return;
    auto& scores = scratch_.scores;
    if (scores.size() < candidates.size()) scores.resize(candidates.size());
    Bound(context_.kernel, queries_[i], context_.store)
        .gather(candidates, {scores.data(), candidates.size()});
    const std::span<const float> found(scores.data(), candidates.size());
    if (bias_ == nullptr) return nearest_[i].offer_all(candidates, found);
    BiasedTopK(nearest_[i], *bias_).offer_all(candidates, found);
  }

  const IndexContext& context_;
  const ByteProduct& product_;
  const std::span<const Query> queries_;
  const ScoreBias* const bias_;
  const std::span<TopK> nearest_;
  CodedScratch& scratch_;
  const CodedShape shape_;
};

}  // namespace

void scan_coded(const IndexContext& context, const ByteProduct& product, const SlotSet& held,
                std::span<const Query> queries, const ScoreBias* bias, Scratch& scratch,
                std::span<TopK> nearest) {
  auto& memory = scratch.get<CodedScratch>();
  if (context.store.metric() == Metric::kL2) {
    find_centre(context.store, held, memory.centre);
  } else {
    memory.centre.assign(context.store.row_bytes() / sizeof(float), 0.0F);
  }
  for (std::size_t begin = 0; begin < queries.size(); begin += kGroup) {
    const std::size_t count = std::min(kGroup, queries.size() - begin);
    CodedScan(context, product, queries.subspan(begin, count), bias, nearest.subspan(begin, count),
              memory)
        .run(held);
  }
}

}  // namespace engram::flat
