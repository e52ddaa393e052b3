// SPDX-License-Identifier: Apache-2.0
// The index of primitives that recall from a sum over their items. Searches compare the query with
// every vector, for a sum cannot name what it is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/exact_scan.h"
#include "core/index.h"
#include "primitives/shared/superposed/superposed_memory.h"

namespace engram::recall {

/// What such a primitive can do.
inline constexpr Traits kSuperposedTraits = {.exact = true,
                                             .concurrent = true,
                                             .saves_structure = true,
                                             .recalls = true,
                                             .takes_items = true};

template <class Trace>
class SuperposedIndex final : public Index {
 public:
  /// make_recaller(memory) returns a Result<std::unique_ptr<Recaller>>; the memory outlives it.
  /// Errors: those of make_recaller; kResourceExhausted.
  template <class MakeRecaller>
  static Result<std::unique_ptr<Index>> create(const IndexContext& context, Trace trace,
                                               MakeRecaller&& make_recaller) {
    std::unique_ptr<SuperposedIndex> index(new SuperposedIndex(context, std::move(trace)));
    ENGRAM_TRY(index->memory_.prepare());
    auto recaller = make_recaller(index->memory_);
    if (!recaller) return tl::unexpected(std::move(recaller.error()));
    index->recaller_ = std::move(*recaller);
    return index;
  }

  [[nodiscard]] bool is_warm() const noexcept override {
    if constexpr (requires(const Trace& trace) { trace.is_warm(); }) {
      return memory_.trace().is_warm();
    }
    return true;
  }
  void warm_up() override {
    if constexpr (requires(const Trace& trace) { trace.warm_up(); }) memory_.trace().warm_up();
  }
  Status insert(const Insertion& item, Scratch& scratch) override {
    return memory_.insert(item.slot, scratch);
  }
  void erase(Slot slot, Scratch& scratch) override { memory_.erase(slot, scratch); }
  Status search(Query query, const SearchParams& params, Scratch& /*scratch*/,
                std::vector<Hit>& hits) const override {
    const IndexContext& context = memory_.context();
    scan_nearest(Bound(context.kernel, query, context.store), memory_.held(), params, hits);
    return {};
  }
  std::size_t size() const noexcept override { return memory_.held().size(); }
  std::size_t memory_bytes() const noexcept override { return memory_.memory_bytes(); }
  std::vector<Fact> describe() const override { return memory_.trace().describe(); }
  Recaller* recaller() noexcept override { return recaller_.get(); }
  Status save(SectionWriter& writer, const SlotSet& items) const override {
    return memory_.save(writer, items);
  }
  Status load(SectionReader& reader, const SlotSet& items) override {
    return memory_.load(reader, items);
  }

 private:
  SuperposedIndex(const IndexContext& context, Trace trace) : memory_(context, std::move(trace)) {}

  SuperposedMemory<Trace> memory_;
  std::unique_ptr<Recaller> recaller_;
};

}  // namespace engram::recall
