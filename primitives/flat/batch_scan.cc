// SPDX-License-Identifier: Apache-2.0
#include "primitives/flat/batch_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/aligned_buffer.h"
#include "core/bound.h"
#include "primitives/exact_scan.h"
#include "primitives/flat/product.h"
#include "primitives/top_k.h"

namespace engram::flat {
namespace {

/// Bytes of rows that stay in the second-level cache while all queries meet them.
constexpr std::size_t kBlockBytes = std::size_t{256} << 10;

/// Shape of one product: large enough for Eigen to work well, with 128 KiB of results.
constexpr std::size_t kProductRows = 512;
constexpr std::size_t kProductGroup = 64;

void scan_blocks(const IndexContext& context, const SlotSet& held, std::span<const Query> queries,
                 std::span<TopK> nearest) {
  const Slot end = context.store.slot_end();
  const auto rows =
      static_cast<Slot>(std::max<std::size_t>(16, kBlockBytes / context.store.row_bytes()));
  for (Slot begin = 0; begin < end; begin += rows) {
    const Slot stop = std::min<Slot>(begin + rows, end);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const Bound bound(context.kernel, queries[i], context.store);
      scan_into(bound, held, begin, stop, nearest[i]);
    }
  }
}

struct BatchScratch {
  std::vector<TopK> nearest;  // [query]
};

struct ProductScratch {
  AlignedBuffer queries;
  std::vector<double> query_norms;
  std::vector<float> dots;
  std::vector<float> row_norms;
  std::vector<Slot> candidates;
  std::vector<float> scores;
};

/// Up to kProductGroup queries against all rows.
class ProductScan {
 public:
  ProductScan(const IndexContext& context, Product product, std::span<const Query> queries,
              std::span<TopK> nearest, ProductScratch& scratch)
      : context_(context),
        product_(product),
        stride_(context.store.row_bytes() / sizeof(float)),
        queries_(queries),
        nearest_(nearest),
        scratch_(scratch) {
    pack_queries();
    scratch_.dots.resize(kProductGroup * kProductRows);
    scratch_.row_norms.resize(kProductRows);
  }

  void run(const SlotSet& held) {
    const Slot end = context_.store.slot_end();
    Slot stop = 0;
    for (Slot begin = 0; begin < end; begin = stop) {
      const std::size_t rows = std::min(context_.store.run_length(begin), kProductRows);
      stop = begin + static_cast<Slot>(std::min<std::size_t>(rows, end - begin));
      if (is_full(held, begin, stop)) {
        multiply(begin, stop);
      } else {
        scan(held, begin, stop);
      }
    }
  }

 private:
  /// One query after the other, so that the kernel reads them as one matrix.
  void pack_queries() {
    const std::size_t row_bytes = context_.store.row_bytes();
    std::byte* const packed = scratch_.queries.reserve(queries_.size() * row_bytes);
    scratch_.query_norms.clear();
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      std::memcpy(packed + i * row_bytes, queries_[i].data, row_bytes);
      const auto* const query = reinterpret_cast<const float*>(packed + i * row_bytes);
      double norm = 0;
      for (std::size_t d = 0; d < stride_; ++d) norm += double{query[d]} * double{query[d]};
      scratch_.query_norms.push_back(norm);
    }
    packed_ = reinterpret_cast<const float*>(packed);
  }

  /// Rows that are not held may be in the middle of being written, so a product leaves them alone.
  static bool is_full(const SlotSet& held, Slot begin, Slot stop) {
    std::size_t members = 0;
    held.for_each(begin, stop, [&](Slot) { ++members; });
    return members == stop - begin;
  }

  void scan(const SlotSet& held, Slot begin, Slot stop) {
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      scan_into(bound(i), held, begin, stop, nearest_[i]);
    }
  }

  void multiply(Slot begin, Slot stop) {
    const std::size_t rows = stop - begin;
    const auto* const first = reinterpret_cast<const float*>(context_.store.row(begin));
    product_({packed_, queries_.size(), stride_}, {first, rows, stride_}, scratch_.dots.data(),
             scratch_.row_norms.data());
    const std::span<float> norms(scratch_.row_norms.data(), rows);
    const double largest = *std::max_element(norms.begin(), norms.end());
    if (context_.store.metric() != Metric::kL2) std::fill(norms.begin(), norms.end(), 0.0F);
    for (std::size_t i = 0; i < queries_.size(); ++i) {
      offer_candidates(i, begin, {scratch_.dots.data() + i * rows, rows}, norms, largest);
    }
  }

  /// Scores by the kernel the rows that the product does not rule out.
  void offer_candidates(std::size_t i, Slot begin, std::span<const float> dots,
                        std::span<const float> norms, double largest_norm) {
    const float scale = context_.store.metric() == Metric::kL2 ? 2.0F : 1.0F;
    const float cut = cut_of(i, largest_norm);
    auto& candidates = scratch_.candidates;
    candidates.clear();
    for (std::size_t j = 0; j < dots.size(); ++j) {
      if (norms[j] - scale * dots[j] <= cut) candidates.push_back(begin + static_cast<Slot>(j));
    }
    if (scratch_.scores.size() < candidates.size()) scratch_.scores.resize(kProductRows);
    bound(i).gather(candidates, {scratch_.scores.data(), candidates.size()});
    for (std::size_t j = 0; j < candidates.size(); ++j) {
      nearest_[i].offer({scratch_.scores[j], candidates[j]});
    }
  }

  /// What |x|^2 - 2 q.x (l2) or -q.x (cosine, dot) may be at most if the kernel's score could be
  /// within the threshold. The derivation is in README.md, "Batches".
  float cut_of(std::size_t i, double largest_norm) const {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const double threshold = double{nearest_[i].threshold()};
    if (threshold == kInfinity) return std::numeric_limits<float>::infinity();
    const bool is_l2 = context_.store.metric() == Metric::kL2;
    const double terms = static_cast<double>(stride_) + 8;
    const double gamma = terms * 0x1p-24 / (1 - terms * 0x1p-24);
    // The norms carry errors of their own; a thousandth is ample.
    const double q = std::sqrt(scratch_.query_norms[i]) * 1.001;
    const double x = std::sqrt(largest_norm) * 1.001 + kTiny;
    const double magnitude = is_l2 ? (q + x) * (q + x) : q * x;
    const double slack = 2 * gamma * magnitude + terms * kTiny;
    const double cut = threshold + slack - (is_l2 ? scratch_.query_norms[i] : 0);
    return std::nextafter(static_cast<float>(cut), std::numeric_limits<float>::infinity());
  }

  Bound bound(std::size_t i) const noexcept {
    return Bound(context_.kernel, queries_[i], context_.store);
  }

  /// Above all that underflow can take from one term, or from the root of a squared norm.
  static constexpr double kTiny = 0x1p-70;

  const IndexContext& context_;
  const Product product_;
  const std::size_t stride_;
  const std::span<const Query> queries_;
  const std::span<TopK> nearest_;
  ProductScratch& scratch_;
  const float* packed_ = nullptr;  // [queries][stride]
};

}  // namespace

void scan_batch(const IndexContext& context, const SlotSet& held, std::span<const Query> queries,
                std::size_t k, Scratch& scratch, std::span<std::vector<Hit>> hits) {
  auto& nearest = scratch.get<BatchScratch>().nearest;
  nearest.clear();
  for (std::vector<Hit>& answer : hits) nearest.emplace_back(k, answer);
  const Product product = queries.size() < kProductQueries ? nullptr : best_product();
  if (product == nullptr) {
    scan_blocks(context, held, queries, nearest);
  } else {
    auto& memory = scratch.get<ProductScratch>();
    for (std::size_t begin = 0; begin < queries.size(); begin += kProductGroup) {
      const std::size_t count = std::min(kProductGroup, queries.size() - begin);
      ProductScan(context, product, queries.subspan(begin, count),
                  std::span(nearest).subspan(begin, count), memory)
          .run(held);
    }
  }
  for (TopK& answer : nearest) answer.finish();
}

}  // namespace engram::flat
