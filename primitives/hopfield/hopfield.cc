// SPDX-License-Identifier: Apache-2.0
// `hopfield`: a modern Hopfield network whose stored patterns are the items [Ramsauer et al. 2021].
// The network itself is primitives/recall, which every index can have over what it holds; here it
// is given a graph of its own that finds candidates where there are many items.
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/assert.h"
#include "core/index.h"
#include "core/registry.h"
#include "core/slot_set.h"
#include "primitives/exact_scan.h"
#include "primitives/recall/hopfield_recaller.h"
#include "primitives/slot_set_io.h"

namespace engram {
namespace {

using recall::Candidates;

/// Holds the items, and in the graph, if there is one, the same items once more.
class Hopfield final : public Index {
 public:
  Hopfield(const IndexContext& context, std::unique_ptr<Index> graph,
           const recall::Settings& settings)
      : context_(context), graph_(std::move(graph)), candidates_(settings.candidates) {}

  Status prepare(const recall::Settings& settings) {
    ENGRAM_TRY(held_.reserve());
    auto recaller = recall::HopfieldRecaller::create(
        {.context = context_, .held = held_, .graph = graph_.get()}, settings);
    if (!recaller) return tl::unexpected(std::move(recaller.error()));
    recaller_ = std::move(*recaller);
    return {};
  }

  Status insert(Slot slot, std::uint64_t identity, Scratch& scratch) override {
    ENGRAM_TRY(held_.ensure(std::size_t{slot} + 1));
    if (graph_ != nullptr) ENGRAM_TRY(graph_->insert(slot, identity, scratch));
    held_.add(slot);
    return {};
  }

  void erase(Slot slot, Scratch& scratch) override {
    const bool was_held = held_.erase(slot);
    ENGRAM_ASSERT(was_held);
    if (graph_ != nullptr) graph_->erase(slot, scratch);
  }

  Status reclaim(std::span<const Slot> erased, Scratch& scratch) override {
    return graph_ == nullptr ? Status{} : graph_->reclaim(erased, scratch);
  }

  /// At the cue, without a step: one-step weights rank as similarity does.
  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override {
    const bool walks = candidates_ == Candidates::kGraph ||
                       (candidates_ == Candidates::kAuto && held_.size() > recall::kAutoScan);
    if (graph_ != nullptr && walks) return graph_->search(query, params, scratch, hits);
    scan_nearest(Bound(context_.kernel, query, context_.store), held_, params.k, hits);
    return {};
  }

  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override {
    const std::size_t graph_bytes = graph_ == nullptr ? 0 : graph_->memory_bytes();
    return sizeof(*this) + held_.memory_bytes() + graph_bytes;
  }
  std::vector<Fact> describe() const override {
    return graph_ == nullptr ? std::vector<Fact>{} : graph_->describe();
  }
  Recaller* recaller() noexcept override { return recaller_.get(); }

  Status save(SectionWriter& writer, const SlotSet& items) const override {
    return graph_ == nullptr ? Status{} : graph_->save(writer, items);
  }
  Status load(SectionReader& reader, const SlotSet& items) override {
    if (graph_ != nullptr) ENGRAM_TRY(graph_->load(reader, items));
    return hold_items(items, context_.store.slot_end(), held_);
  }

 private:
  const IndexContext context_;
  const std::unique_ptr<Index> graph_;  // null: none is kept
  const Candidates candidates_;
  SlotSet held_;
  std::unique_ptr<Recaller> recaller_;
};

constexpr std::string_view kGraph = "hnsw";
constexpr std::string_view kNoGraph = "none";
constexpr std::string_view kGraphNames[] = {kGraph, kNoGraph};

constexpr std::array kGraphOptions = {
    choice_option("GRAPH", kGraph, kGraphNames,
                  "whether a graph finds candidates, which costs memory and time of inserts"),
    integer_option("M", 16, 2, 512, "of the graph: links per node and level"),
    integer_option("EF_CONSTRUCTION", 200, 1, 10'000, "of the graph: candidates while inserting"),
};

constexpr auto kCreateOptions = [] {
  std::array<OptionSpec, kGraphOptions.size() + recall::kRecallOptions.size()> all{};
  std::copy(kGraphOptions.begin(), kGraphOptions.end(), all.begin());
  std::copy(recall::kRecallOptions.begin(), recall::kRecallOptions.end(),
            all.begin() + kGraphOptions.size());
  return all;
}();

/// An index of the primitive that the option GRAPH names, or nothing.
Result<std::unique_ptr<Index>> make_graph(const IndexContext& context, const Options& options) {
  const std::string_view name = options.choice("GRAPH");
  if (name == kNoGraph) return nullptr;
  const auto primitive = find_primitive(name);
  if (!primitive) {
    return fail(ErrorCode::kInvalidArgument,
                "this program was built without " + std::string(name) + ", GRAPH must be none");
  }
  const std::string m = std::to_string(options.integer("M"));
  const std::string ef_construction = std::to_string(options.integer("EF_CONSTRUCTION"));
  const std::vector<OptionText> given = {{"M", m}, {"EF_CONSTRUCTION", ef_construction}};
  const auto graph_options = Options::parse((*primitive)->create_options, given);
  if (!graph_options) return tl::unexpected(graph_options.error());
  return (*primitive)->create(context, *graph_options);
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const recall::Settings settings = recall::read_settings(options, {});
  auto graph = make_graph(context, options);
  if (!graph) return tl::unexpected(std::move(graph.error()));
  if (*graph == nullptr && settings.candidates == Candidates::kGraph) {
    return fail(ErrorCode::kInvalidArgument, "CAND graph needs a graph, GRAPH must not be none");
  }
  if (settings.noise > 0) {
    ENGRAM_TRY(recall::resolve_beta(settings, context.store.metric(), 0));
  }
  auto index = std::make_unique<Hopfield>(context, std::move(*graph), settings);
  ENGRAM_TRY(index->prepare(settings));
  return index;
}

const Registration kRegistration({
    .name = "hopfield",
    .summary = "Associative recall: falls from a cue into the wells of an energy",
    .source = "Ramsauer et al. 2021",
    .traits =
        {.concurrent = true, .deferred_reclaim = true, .saves_structure = true, .recalls = true},
    .create_options = kCreateOptions,
    .recall_options = recall::kRecallOptions,
    .create = create,
});

}  // namespace
}  // namespace engram
