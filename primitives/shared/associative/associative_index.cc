// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/associative/associative_index.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/assert.h"
#include "core/exact_scan.h"
#include "core/registry.h"
#include "core/slot_set_io.h"

namespace engram::recall {
namespace {

constexpr std::string_view kGraph = "hnsw";
constexpr std::string_view kNoGraph = "none";
constexpr std::string_view kGraphNames[] = {kGraph, kNoGraph};
constexpr std::string_view kNoGraphNames[] = {kNoGraph};

/// An index of the primitive that the option GRAPH names, or nothing where there is no such option.
Result<std::unique_ptr<Index>> make_graph(const IndexContext& context, const Options& options) {
  const auto schema = options.schema();
  const bool has_graph_options = std::any_of(
      schema.begin(), schema.end(), [](const OptionSpec& spec) { return spec.name == "GRAPH"; });
  if (!has_graph_options) return nullptr;
  const std::string_view name = options.choice("GRAPH");
  if (name == kNoGraph) return nullptr;
  const auto primitive = find_primitive(name);
  if (!primitive) return tl::unexpected(primitive.error());
  const std::string m = std::to_string(options.integer("M"));
  const std::string ef_construction = std::to_string(options.integer("EF_CONSTRUCTION"));
  const std::vector<OptionText> given = {{"M", m}, {"EF_CONSTRUCTION", ef_construction}};
  const auto graph_options = Options::parse((*primitive)->create_options, given);
  if (!graph_options) return tl::unexpected(graph_options.error());
  return (*primitive)->create(context, *graph_options);
}

}  // namespace

std::vector<OptionSpec> with_graph_options(std::span<const OptionSpec> recall_options) {
  const bool has_graph = is_registered(kGraph);
  std::vector<OptionSpec> all = {
      choice_option("GRAPH", has_graph ? kGraph : kNoGraph,
                    has_graph ? std::span<const std::string_view>(kGraphNames) : kNoGraphNames,
                    "whether a graph finds candidates, which costs memory and time of inserts"),
      integer_option("M", 16, 2, 512, "of the graph: links per node and level"),
      integer_option("EF_CONSTRUCTION", 200, 1, 10'000, "of the graph: candidates while inserting"),
  };
  all.insert(all.end(), recall_options.begin(), recall_options.end());
  return all;
}

Result<std::unique_ptr<Index>> AssociativeIndex::create(const IndexContext& context,
                                                        const Options& options,
                                                        Candidates candidates, MakeRecaller make) {
  std::unique_ptr<AssociativeIndex> index(new AssociativeIndex(context, candidates));
  auto graph = make_graph(context, options);
  if (!graph) return tl::unexpected(std::move(graph.error()));
  if (*graph == nullptr && candidates == Candidates::kGraph) {
    return fail(ErrorCode::kInvalidArgument, "CAND graph needs a graph, GRAPH must not be none");
  }
  index->graph_ = std::move(*graph);
  auto recaller =
      make({.context = context, .held = index->held_, .graph = index->graph_.get()}, options);
  if (!recaller) return tl::unexpected(std::move(recaller.error()));
  index->recaller_ = std::move(*recaller);
  return index;
}

Status AssociativeIndex::insert(const Insertion& item, Scratch& scratch) {
  ENGRAM_TRY(held_.ensure(std::size_t{item.slot} + 1));
  if (graph_ != nullptr) ENGRAM_TRY(graph_->insert(item, scratch));
  held_.add(item.slot);
  return {};
}

void AssociativeIndex::erase(Slot slot, Scratch& scratch) {
  const bool was_held = held_.erase(slot);
  ENGRAM_ASSERT(was_held);
  if (graph_ != nullptr) graph_->erase(slot, scratch);
}

Status AssociativeIndex::reclaim(std::span<const Slot> erased, Scratch& scratch) {
  return graph_ == nullptr ? Status{} : graph_->reclaim(erased, scratch);
}

Status AssociativeIndex::search(Query query, const SearchParams& params, Scratch& scratch,
                                std::vector<Hit>& hits) const {
  if (graph_ != nullptr && walks(candidates_, held_.size())) {
    return graph_->search(query, params, scratch, hits);
  }
  scan_nearest(Bound(context_.kernel, query, context_.store), held_, params, hits);
  return {};
}

std::size_t AssociativeIndex::memory_bytes() const noexcept {
  const std::size_t graph_bytes = graph_ == nullptr ? 0 : graph_->memory_bytes();
  return sizeof(*this) + held_.memory_bytes() + graph_bytes;
}

std::vector<Fact> AssociativeIndex::describe() const {
  return graph_ == nullptr ? std::vector<Fact>{} : graph_->describe();
}

Status AssociativeIndex::save(SectionWriter& writer, const SlotSet& items) const {
  return graph_ == nullptr ? Status{} : graph_->save(writer, items);
}

Status AssociativeIndex::load(SectionReader& reader, const SlotSet& items) {
  if (graph_ != nullptr) ENGRAM_TRY(graph_->load(reader, items));
  return hold_items(items, context_.store.slot_end(), held_);
}

}  // namespace engram::recall
