// SPDX-License-Identifier: Apache-2.0
// `lsh`: signed random projections [Charikar2002]. Each random hyperplane gives a bit, the side
// that a vector lies on; two vectors differ in a share angle/pi of their bits. A search compares
// these short signatures, and scores exactly only the `ef` most similar.
#include <bitset>
#include <map>
#include <numeric>
#include <random>

#include "core/registry.h"
#include "core/top_k.h"

namespace engram {
namespace {
class Lsh final : public Index {
 public:
  Lsh(const IndexContext& context, std::int64_t seed)
      : context_(context), dim_(context.store.dim()), planes_(Signature().size() * dim_) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed));
    std::normal_distribution<float> normal;
    for (float& component : planes_) component = normal(random);
  }
  Status insert(const Insertion& item, Scratch& /*scratch*/) override {
    signatures_[item.slot] = sign(context_.store.row(item.slot));
    return {};
  }
  void erase(Slot slot, Scratch& /*scratch*/) override { signatures_.erase(slot); }
  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override {
    const Signature wanted = sign(query.data);
    TopK top(std::max(params.k, params.ef == 0 ? 500 : params.ef), hits);
    for (const auto& [slot, bits] : signatures_) top.offer({float((bits ^ wanted).count()), slot});
    auto& [slots, scores] = scratch.get<Candidates>();
    slots.clear();
    for (const Hit& hit : hits) slots.push_back(hit.slot);
    scores.resize(slots.size());
    Bound(context_.kernel, query, context_.store).gather(slots, scores);
    TopK nearest(params.k, hits);
    for (std::size_t i = 0; i < slots.size(); ++i) nearest.offer({scores[i], slots[i]});
    nearest.finish();
    return {};
  }
  std::size_t size() const noexcept override { return signatures_.size(); }
  std::size_t memory_bytes() const noexcept override {
    return planes_.size() * sizeof(float) + size() * (sizeof(Signature) + 5 * sizeof(void*));
  }

 private:
  using Signature = std::bitset<256>;
  struct Candidates {  // kept by a worker from search to search
    std::vector<Slot> slots;
    std::vector<float> scores;
  };
  Signature sign(const std::byte* row) const {
    const auto* const vector = reinterpret_cast<const float*>(row);
    Signature signature;
    for (std::size_t bit = 0; bit < signature.size(); ++bit) {
      signature[bit] = std::inner_product(vector, vector + dim_, &planes_[bit * dim_], 0.0F) > 0;
    }
    return signature;
  }

  const IndexContext context_;
  const std::size_t dim_;
  std::vector<float> planes_;  // [bit][dim]
  std::map<Slot, Signature> signatures_;
};
constexpr OptionSpec kOptions[] = {integer_option("SEED", 1, 0, 1e9, "changes the hyperplanes")};
Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  return std::make_unique<Lsh>(context, options.integer("SEED"));
}
const Registration kRegistration({.name = "lsh",
                                  .summary = "Example: signed random projections, re-ranked",
                                  .source = "Charikar 2002",
                                  .traits = {},
                                  .create_options = kOptions,
                                  .create = create});
}  // namespace
}  // namespace engram
