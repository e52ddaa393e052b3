// SPDX-License-Identifier: Apache-2.0
// An index for primitives made for recall: a set of items, an optional graph over them, and a
// Recaller that does the rest.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/options.h"
#include "core/slot_set.h"
#include "primitives/shared/candidates/candidates.h"

namespace engram::recall {

/// The graph's options of VNEW, followed by `recall_options`, which VNEW takes as defaults. Call
/// from Primitive::complete, when all primitives have registered: without `hnsw` there is no graph.
std::vector<OptionSpec> with_graph_options(std::span<const OptionSpec> recall_options);

/// Searches rank by similarity to the query, as one step from it ranks weights. Concurrent like the
/// graph; saves its structure.
class AssociativeIndex final : public Index {
 public:
  /// Makes the recaller of an index; the memory outlives it.
  using MakeRecaller = Result<std::unique_ptr<Recaller>> (*)(const MemoryView& memory,
                                                             const Options& options);

  /// options: of a schema that with_graph_options() made, or without a graph. candidates: of
  /// searches. Errors: kInvalidArgument where these do not go together; kResourceExhausted; those
  /// of `make`.
  static Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options,
                                               Candidates candidates, MakeRecaller make);

  Status insert(const Insertion& item, Scratch& scratch) override;
  void erase(Slot slot, Scratch& scratch) override;
  Status reclaim(std::span<const Slot> erased, Scratch& scratch) override;
  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override;
  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override;
  std::vector<Fact> describe() const override;
  Recaller* recaller() noexcept override { return recaller_.get(); }
  Status save(SectionWriter& writer, const SlotSet& items) const override;
  Status load(SectionReader& reader, const SlotSet& items) override;

 private:
  AssociativeIndex(const IndexContext& context, Candidates candidates)
      : context_(context), candidates_(candidates) {}

  const IndexContext context_;
  const Candidates candidates_;
  std::unique_ptr<Index> graph_;  // of the same items; null: none is kept
  SlotSet held_;
  std::unique_ptr<Recaller> recaller_;
};

/// What such a primitive can do, if its recaller obeys RecallParams::bias.
inline constexpr Traits kAssociativeTraits = {.concurrent = true,
                                              .deferred_reclaim = true,
                                              .saves_structure = true,
                                              .recalls = true,
                                              .takes_bias = true,
                                              .takes_items = true};

}  // namespace engram::recall
