// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "core/assert.h"
#include "core/hash.h"
#include "experiments/peers/engram_index.h"
#include "experiments/peers/exact_system.h"

namespace engram::peers {
namespace {

class EngramExact final : public ExactSystem {
 public:
  EngramExact(Metric metric, std::size_t dim)
      : dim_(dim), flat_(make_engram_index("flat", metric, dim, {})) {}

  void add(std::span<const float> rows) override {
    for (; !rows.empty(); rows = rows.subspan(dim_)) {
      const Slot slot = *flat_.store->allocate();
      flat_.store->write(slot, rows.first(dim_));
      ENGRAM_ASSERT(flat_.index->insert({slot, mix(slot)}, scratch_).has_value());
    }
  }

  void search(std::span<const float> queries, std::size_t k,
              std::span<std::uint32_t> rows) override {
    const std::size_t count = queries.size() / dim_;
    if (prepared_.size() < count) {
      prepared_.resize(count);
      hits_.resize(count);
    }
    queries_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      queries_.push_back(flat_.kernel->prepare(queries.subspan(i * dim_, dim_), prepared_[i]));
    }
    const std::span answers(hits_.data(), count);
    ENGRAM_ASSERT(flat_.index->search_batch(queries_, {.k = k}, scratch_, answers).has_value());
    auto out = rows.begin();
    for (const std::vector<Hit>& answer : answers) {
      out = std::transform(answer.begin(), answer.end(), out,
                           [](const Hit& hit) { return hit.slot; });
    }
  }

 private:
  const std::size_t dim_;
  OwnedIndex flat_;
  std::vector<AlignedBuffer> prepared_;
  std::vector<Query> queries_;
  Scratch scratch_;
  std::vector<std::vector<Hit>> hits_;
};

}  // namespace

std::unique_ptr<ExactSystem> make_exact_engram(Metric metric, std::size_t dim) {
  return std::make_unique<EngramExact>(metric, dim);
}

}  // namespace engram::peers
