// SPDX-License-Identifier: Apache-2.0
#include <faiss/IndexHNSW.h>
#include <omp.h>

#include <algorithm>
#include <vector>

#include "experiments/peers/system.h"

namespace engram::peers {
namespace {

class FaissSystem final : public System {
 public:
  explicit FaissSystem(const Setting& setting)
      : dim_(setting.dim),
        index_(static_cast<int>(setting.dim), static_cast<int>(setting.m),
               setting.metric == Metric::kL2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT) {
    index_.hnsw.efConstruction = static_cast<int>(setting.ef_construction);
  }

  void build(std::span<const float> rows, std::size_t threads) override {
    omp_set_num_threads(static_cast<int>(threads));
    index_.add(static_cast<faiss::Index::idx_t>(rows.size() / dim_), rows.data());
    omp_set_num_threads(1);
  }

  void search(std::span<const float> query, std::size_t ef,
              std::span<std::uint32_t> rows) override {
    index_.hnsw.efSearch = static_cast<int>(ef);
    distances_.resize(rows.size());
    labels_.resize(rows.size());
    index_.search(1, query.data(), static_cast<faiss::Index::idx_t>(rows.size()), distances_.data(),
                  labels_.data());
    std::transform(labels_.begin(), labels_.end(), rows.begin(),
                   [](faiss::Index::idx_t label) { return static_cast<std::uint32_t>(label); });
  }

 private:
  const std::size_t dim_;
  faiss::IndexHNSWFlat index_;
  std::vector<float> distances_;
  std::vector<faiss::Index::idx_t> labels_;
};

}  // namespace

std::unique_ptr<System> make_faiss(const Setting& setting) {
  return std::make_unique<FaissSystem>(setting);
}

}  // namespace engram::peers
