// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <faiss/IndexFlat.h>
#include <omp.h>

#include <algorithm>
#include <vector>

#include "experiments/peers/exact_system.h"

namespace engram::peers {
namespace {

class FaissExact final : public ExactSystem {
 public:
  FaissExact(Metric metric, std::size_t dim)
      : dim_(dim),
        index_(static_cast<faiss::Index::idx_t>(dim),
               metric == Metric::kL2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT) {
    omp_set_num_threads(1);
    openblas_set_num_threads(1);
  }

  void add(std::span<const float> rows) override {
    index_.add(static_cast<faiss::Index::idx_t>(rows.size() / dim_), rows.data());
  }

  void search(std::span<const float> queries, std::size_t k,
              std::span<std::uint32_t> rows) override {
    distances_.resize(rows.size());
    labels_.resize(rows.size());
    index_.search(static_cast<faiss::Index::idx_t>(queries.size() / dim_), queries.data(),
                  static_cast<faiss::Index::idx_t>(k), distances_.data(), labels_.data());
    std::transform(labels_.begin(), labels_.end(), rows.begin(),
                   [](faiss::Index::idx_t label) { return static_cast<std::uint32_t>(label); });
  }

 private:
  const std::size_t dim_;
  faiss::IndexFlat index_;
  std::vector<float> distances_;
  std::vector<faiss::Index::idx_t> labels_;
};

}  // namespace

std::unique_ptr<ExactSystem> make_exact_faiss(Metric metric, std::size_t dim) {
  return std::make_unique<FaissExact>(metric, dim);
}

}  // namespace engram::peers
