// SPDX-License-Identifier: Apache-2.0
// Compiled for the machine it is built on, because hnswlib chooses at compile time.
#include <hnswlib/hnswlib.h>

#include "experiments/peers/system.h"
#include "experiments/peers/threads.h"

namespace engram::peers {
namespace {

class HnswlibSystem final : public System {
 public:
  explicit HnswlibSystem(const Setting& setting) : setting_(setting) {
    if (setting.metric == Metric::kL2) {
      space_ = std::make_unique<hnswlib::L2Space>(setting.dim);
    } else {
      space_ = std::make_unique<hnswlib::InnerProductSpace>(setting.dim);
    }
  }

  void build(std::span<const float> rows, std::size_t threads) override {
    const std::size_t count = rows.size() / setting_.dim;
    graph_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), count, setting_.m,
                                                               setting_.ef_construction);
    graph_->addPoint(rows.data(), 0);
    parallel_for(1, count, threads, [&](std::size_t i, std::size_t) {
      graph_->addPoint(rows.data() + i * setting_.dim, i);
    });
  }

  void search(std::span<const float> query, std::size_t ef,
              std::span<std::uint32_t> rows) override {
    graph_->setEf(ef);
    auto found = graph_->searchKnn(query.data(), rows.size());
    for (std::size_t i = rows.size(); i-- > 0 && !found.empty(); found.pop()) {
      rows[i] = static_cast<std::uint32_t>(found.top().second);
    }
  }

 private:
  const Setting setting_;
  std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph_;
};

}  // namespace

std::unique_ptr<System> make_hnswlib(const Setting& setting) {
  return std::make_unique<HnswlibSystem>(setting);
}

}  // namespace engram::peers
