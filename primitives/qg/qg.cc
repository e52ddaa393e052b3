// SPDX-License-Identifier: Apache-2.0
#include "primitives/qg/qg.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/registry.h"
#include "core/top_k.h"

namespace engram::qg {
namespace {

constexpr std::string_view kDegrees[] = {"32", "64", "96", "128"};

constexpr OptionSpec kCreateOptions[] = {
    choice_option("DEGREE", "32", kDegrees, "links per node on level 0, half as many above"),
    integer_option("BITS", 1, 1, kMaxBits, "of a component of a neighbour's code"),
    integer_option("EF_CONSTRUCTION", 200, 1, 10'000, "candidates kept while inserting"),
    integer_option("EF_SEARCH", 128, 1, 1'000'000,
                   "candidates kept while searching, unless EF says"),
    integer_option("SEED", 42, 0, hnsw::kMaxSeed, "changes levels, and how codes are rotated"),
};

std::size_t degree_of(const Options& options) {
  return std::stoul(std::string(options.choice("DEGREE")));
}

std::size_t max_dimension_with(const Options& options) {
  return NeighborCodes::max_dimension(degree_of(options),
                                      static_cast<std::size_t>(options.integer("BITS")));
}

Result<std::unique_ptr<Index>> create_index(const IndexContext& context, const Options& options) {
  const auto number = [&](std::string_view name) {
    return static_cast<std::size_t>(options.integer(name));
  };
  const std::size_t m = degree_of(options) / 2;
  ENGRAM_TRY(hnsw::check_insert_work(m, number("EF_CONSTRUCTION"), context.store.dim()));
  auto index = Qg::create(context,
                          {.m = m,
                           .ef_construction = number("EF_CONSTRUCTION"),
                           .ef_search = number("EF_SEARCH"),
                           .seed = number("SEED")},
                          number("BITS"));
  if (!index) return tl::unexpected(std::move(index.error()));
  return std::move(*index);
}

const Registration kRegistration({
    .name = "qg",
    .summary = "Approximate search: walks a graph whose nodes carry codes of their neighbours",
    .source = "Gou et al. 2025",
    .traits = {.deferred_reclaim = true,
               .saves_structure = true,
               .takes_bias = true,
               .takes_items = true},
    .create_options = kCreateOptions,
    .max_dimension_with = max_dimension_with,
    .recalls_by_default = true,
    .create = create_index,
});

}  // namespace

Result<std::unique_ptr<Qg>> Qg::create(const IndexContext& context, const hnsw::Config& config,
                                       std::size_t bits) {
  auto codes =
      NeighborCodes::create(context, {.degree = 2 * config.m, .bits = bits, .seed = config.seed});
  if (!codes) return tl::unexpected(std::move(codes.error()));
  std::unique_ptr<Qg> index(new Qg(context, config, bits, std::move(*codes)));
  ENGRAM_TRY(index->prepare());
  return index;
}

/// Leaves in `hits` the k nearest that a walk expands. False if it expands fewer.
template <class Order>
bool Qg::walk(Query query, std::size_t k, std::size_t ef, Order order, Scratch& scratch,
              std::vector<Hit>& hits) const {
  auto& working = scratch.get<CodeBeam>();
  const Bound bound(context().kernel, query, context().store);
  const hnsw::Entry entry = graph().entry();
  const Hit start = hnsw::descend(graph(), entry, 0, bound, order, working.beam);
  if (order.rank(start) == hnsw::kNoRank) return false;
  codes_->prepare(query, working.query);
  TopK nearest(k, hits);
  const auto is_answer = [this](Slot slot) { return is_held(slot); };
  CodeWalk walk(graph(), *codes_, bound, ef, k, order, is_answer, holds_all_nodes(), working);
  walk.run(start, context().store.slot_end(), [&](const Hit& hit) { nearest.offer(hit); });
  nearest.finish();
  return hits.size() == k;
}

Status Qg::search(Query query, const SearchParams& params, Scratch& scratch,
                  std::vector<Hit>& hits) const {
  if (!params.is_plain()) return Hnsw::search(query, params, scratch, hits);
  const std::size_t ef = ef_of(params);
  const bool is_walked = params.k > 0 && !is_scanned(ef);
  if (is_walked && walk(query, params.k, ef, hnsw::BySlot{}, scratch, hits)) return {};
  scan(query, params.k, hits);
  return {};
}

Status Qg::search_as_stranger(Slot own, Query query, const SearchParams& params, Scratch& scratch,
                              std::vector<Hit>& hits) const {
  const std::size_t ef = ef_of(params);
  const bool is_walked = params.k > 0 && !is_scanned(ef);
  if (is_walked && walk(query, params.k, ef, hnsw::ButOne{own}, scratch, hits)) return {};
  scan(query, params.k + 1, hits);  // by way of no item
  std::erase_if(hits, [own](const Hit& hit) { return hit.slot == own; });
  hits.resize(std::min(hits.size(), params.k));
  return {};
}

std::size_t Qg::memory_bytes() const noexcept {
  return Hnsw::memory_bytes() + codes_->memory_bytes();
}

std::vector<Fact> Qg::describe() const {
  std::vector<Fact> facts = Hnsw::describe();
  facts.push_back({"code-bits", std::to_string(bits_)});
  return facts;
}

}  // namespace engram::qg
