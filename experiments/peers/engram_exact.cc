// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>
#include <vector>

#include "core/assert.h"
#include "core/hash.h"
#include "core/registry.h"
#include "experiments/peers/exact_system.h"

namespace engram::peers {
namespace {

/// The primitive `flat` below the server, through the contracts that the server uses.
class EngramExact final : public ExactSystem {
 public:
  EngramExact(Metric metric, std::size_t dim)
      : dim_(dim),
        store_(std::move(*VectorStore::create(dim, metric))),
        kernel_(std::move(*make_kernel("auto", metric, dim))) {
    const Primitive* const primitive = *find_primitive("flat");
    const Options options = std::move(*Options::parse(primitive->create_options, {}));
    index_ = std::move(*primitive->create({*store_, *kernel_}, options));
  }

  void add(std::span<const float> rows) override {
    for (; !rows.empty(); rows = rows.subspan(dim_)) {
      const Slot slot = *store_->allocate();
      store_->write(slot, rows.first(dim_));
      ENGRAM_ASSERT(index_->insert(slot, mix(slot), scratch_).has_value());
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
      queries_.push_back(kernel_->prepare(queries.subspan(i * dim_, dim_), prepared_[i]));
    }
    const std::span answers(hits_.data(), count);
    ENGRAM_ASSERT(index_->search_batch(queries_, {.k = k}, scratch_, answers).has_value());
    auto out = rows.begin();
    for (const std::vector<Hit>& answer : answers) {
      out = std::transform(answer.begin(), answer.end(), out,
                           [](const Hit& hit) { return hit.slot; });
    }
  }

 private:
  const std::size_t dim_;
  std::unique_ptr<VectorStore> store_;
  std::unique_ptr<Kernel> kernel_;
  std::unique_ptr<Index> index_;
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
