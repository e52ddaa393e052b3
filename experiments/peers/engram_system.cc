// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/assert.h"
#include "core/hash.h"
#include "core/registry.h"
#include "experiments/peers/engram_index.h"
#include "experiments/peers/system.h"
#include "experiments/peers/threads.h"

namespace engram::peers {
namespace {

class EngramSystem final : public System {
 public:
  EngramSystem(const Setting& setting, std::string_view primitive, std::vector<OptionText> given)
      : dim_(setting.dim),
        is_concurrent_((*find_primitive(primitive))->traits.concurrent),
        index_(make(setting, primitive, std::move(given))) {}

  void build(std::span<const float> rows, std::size_t threads) override {
    const std::size_t count = rows.size() / dim_;
    for (std::size_t i = 0; i < count; ++i) {
      index_.store->write(*index_.store->allocate(), rows.subspan(i * dim_, dim_));
    }
    if (!is_concurrent_) threads = 1;
    std::vector<Scratch> scratches(threads);
    parallel_for(0, count, threads, [&](std::size_t i, std::size_t thread) {
      const auto slot = static_cast<Slot>(i);
      ENGRAM_ASSERT(index_.index->insert({slot, mix(slot)}, scratches[thread]).has_value());
    });
  }

  void search(std::span<const float> query, std::size_t ef,
              std::span<std::uint32_t> rows) override {
    const SearchParams params = {.k = rows.size(), .ef = ef};
    ENGRAM_ASSERT(
        index_.index->search(index_.kernel->prepare(query, query_), params, scratch_, hits_));
    std::transform(hits_.begin(), hits_.end(), rows.begin(),
                   [](const Hit& hit) { return hit.slot; });
  }

 private:
  static OwnedIndex make(const Setting& setting, std::string_view primitive,
                         std::vector<OptionText> given) {
    const std::string ef_construction = std::to_string(setting.ef_construction);
    given.push_back({"EF_CONSTRUCTION", ef_construction});
    return make_engram_index(primitive, setting.metric, setting.dim, given);
  }

  const std::size_t dim_;
  const bool is_concurrent_;
  OwnedIndex index_;
  AlignedBuffer query_;
  Scratch scratch_;
  std::vector<Hit> hits_;
};

}  // namespace

std::unique_ptr<System> make_engram(const Setting& setting, std::string_view quant,
                                    std::string_view rerank) {
  const std::string m = std::to_string(setting.m);
  return std::make_unique<EngramSystem>(
      setting, "hnsw", std::vector<OptionText>{{"M", m}, {"QUANT", quant}, {"RERANK", rerank}});
}

std::unique_ptr<System> make_engram_qg(const Setting& setting, std::string_view bits) {
  const std::string degree = std::to_string(2 * setting.m);
  return std::make_unique<EngramSystem>(
      setting, "qg", std::vector<OptionText>{{"DEGREE", degree}, {"BITS", bits}});
}

}  // namespace engram::peers
