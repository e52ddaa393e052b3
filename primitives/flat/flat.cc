// SPDX-License-Identifier: Apache-2.0
// `flat`: the exact answer, by comparing the query with every vector. The ground truth that other
// primitives are measured against, and the right choice for small collections.
#include <memory>
#include <string>
#include <utility>

#include "core/assert.h"
#include "core/exact_scan.h"
#include "core/index.h"
#include "core/registry.h"
#include "core/slot_set.h"
#include "core/slot_set_io.h"
#include "primitives/flat/batch_scan.h"

namespace engram {
namespace {

/// The structure is the set of held slots and nothing else, so every operation is concurrent and an
/// erased slot is free at once.
class Flat final : public Index {
 public:
  explicit Flat(const IndexContext& context) : context_(context) {}

  Status prepare() {
    auto recaller = make_default_recaller({.context = context_, .held = held_});
    if (!recaller) return tl::unexpected(std::move(recaller.error()));
    recaller_ = std::move(*recaller);
    return {};
  }

  Status insert(const Insertion& item, Scratch& /*scratch*/) override {
    auto added = held_.insert(item.slot);
    if (!added) return tl::unexpected(std::move(added.error()));
    ENGRAM_ASSERT(*added);
    return {};
  }

  void erase(Slot slot, Scratch& /*scratch*/) override {
    const bool was_held = held_.erase(slot);
    ENGRAM_ASSERT(was_held);
  }

  Status search(Query query, const SearchParams& params, Scratch& /*scratch*/,
                std::vector<Hit>& hits) const override {
    scan_nearest(Bound(context_.kernel, query, context_.store), held_, params, hits);
    return {};
  }

  Status search_batch(std::span<const Query> queries, const SearchParams& params, Scratch& scratch,
                      std::span<std::vector<Hit>> hits) const override {
    ENGRAM_ASSERT(queries.size() == hits.size());
    return flat::scan_batch(context_, held_, queries, params, scratch, hits);
  }

  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override {
    return sizeof(*this) + held_.memory_bytes();
  }

  std::vector<Fact> describe() const override {
    return {{"quant-type", std::string(element_name(context_.store.element()))}};
  }

  Recaller* recaller() noexcept override { return recaller_.get(); }

  /// What is held is all there is to know, and the caller knows it.
  Status save(SectionWriter& /*writer*/, const SlotSet& /*items*/) const override { return {}; }
  Status load(SectionReader& /*reader*/, const SlotSet& items) override {
    return hold_items(items, context_.store.slot_end(), held_);
  }

 private:
  const IndexContext context_;
  SlotSet held_;
  std::unique_ptr<Recaller> recaller_;
};

constexpr OptionSpec kCreateOptions[] = {
    choice_option("QUANT", "f32", kElementNames,
                  "what is stored: vectors, or codes in their place"),
};

Element stored_element(const Options& options) {
  return *element_from_name(options.choice("QUANT"));
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& /*options*/) {
  auto index = std::make_unique<Flat>(context);
  ENGRAM_TRY(index->prepare());
  return index;
}

const Registration kRegistration({
    .name = "flat",
    .summary = "Exact search: compares the query with every vector",
    .source = "exhaustive scan",
    .traits = {.exact = true,
               .concurrent = true,
               .saves_structure = true,
               .takes_bias = true,
               .takes_items = true},
    .create_options = kCreateOptions,
    .stored_element = stored_element,
    .recalls_by_default = true,
    .create = create,
});

}  // namespace
}  // namespace engram
