// SPDX-License-Identifier: Apache-2.0
#include "server/engine/quarantine.h"

#include <utility>
#include <vector>

namespace engram {
namespace {

/// Holds nothing.
class EmptyIndex final : public Index {
 public:
  Status insert(const Insertion&, Scratch&) override {
    return fail(ErrorCode::kDataLoss, "an index in quarantine takes no vectors");
  }
  void erase(Slot, Scratch&) override {}
  Status search(Query, const SearchParams&, Scratch&, std::vector<Hit>& hits) const override {
    hits.clear();
    return {};
  }
  std::size_t size() const noexcept override { return 0; }
  std::size_t memory_bytes() const noexcept override { return 0; }
};

const Primitive kQuarantine = {
    .name = "quarantine",
    .summary = "in the place of an index that cannot be restored",
    .source = "",
    .traits = {.exact = true},
    .create = [](const IndexContext&, const Options&) -> Result<std::unique_ptr<Index>> {
      return std::make_unique<EmptyIndex>();
    }};

}  // namespace

Result<std::shared_ptr<Collection>> make_quarantined(const CollectionContext& context,
                                                     std::string damage) {
  auto collection = Collection::create({.dim = 1,
                                        .metric = Metric::kL2,
                                        .primitive = &kQuarantine,
                                        .options = Options(kQuarantine.create_options)},
                                       context);
  if (collection) (*collection)->set_damage(std::move(damage));
  return collection;
}

std::string index_label(std::string_view name) {
  constexpr std::size_t kMostBytes = 128;
  return "index '" + std::string(name.substr(0, kMostBytes)) + "'";
}

}  // namespace engram
