// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "core/assert.h"
#include "core/hash.h"
#include "experiments/peers/engram_index.h"
#include "experiments/peers/system.h"
#include "experiments/peers/threads.h"

namespace engram::peers {
namespace {

class EngramSystem final : public System {
 public:
  EngramSystem(const Setting& setting, std::string_view quant, std::string_view rerank)
      : dim_(setting.dim), hnsw_(make(setting, quant, rerank)) {}

  void build(std::span<const float> rows, std::size_t threads) override {
    const std::size_t count = rows.size() / dim_;
    for (std::size_t i = 0; i < count; ++i) {
      hnsw_.store->write(*hnsw_.store->allocate(), rows.subspan(i * dim_, dim_));
    }
    std::vector<Scratch> scratches(threads);
    parallel_for(0, count, threads, [&](std::size_t i, std::size_t thread) {
      const auto slot = static_cast<Slot>(i);
      ENGRAM_ASSERT(hnsw_.index->insert({slot, mix(slot)}, scratches[thread]).has_value());
    });
  }

  void search(std::span<const float> query, std::size_t ef,
              std::span<std::uint32_t> rows) override {
    const SearchParams params = {.k = rows.size(), .ef = ef};
    ENGRAM_ASSERT(
        hnsw_.index->search(hnsw_.kernel->prepare(query, query_), params, scratch_, hits_));
    std::transform(hits_.begin(), hits_.end(), rows.begin(),
                   [](const Hit& hit) { return hit.slot; });
  }

 private:
  static OwnedIndex make(const Setting& setting, std::string_view quant, std::string_view rerank) {
    const std::string m = std::to_string(setting.m);
    const std::string ef_construction = std::to_string(setting.ef_construction);
    const std::vector<OptionText> given = {
        {"M", m}, {"EF_CONSTRUCTION", ef_construction}, {"QUANT", quant}, {"RERANK", rerank}};
    return make_engram_index("hnsw", setting.metric, setting.dim, given);
  }

  const std::size_t dim_;
  OwnedIndex hnsw_;
  AlignedBuffer query_;
  Scratch scratch_;
  std::vector<Hit> hits_;
};

}  // namespace

std::unique_ptr<System> make_engram(const Setting& setting, std::string_view quant,
                                    std::string_view rerank) {
  return std::make_unique<EngramSystem>(setting, quant, rerank);
}

}  // namespace engram::peers
