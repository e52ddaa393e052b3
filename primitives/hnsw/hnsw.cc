// SPDX-License-Identifier: Apache-2.0
// `hnsw`: the layered graph of shared/hnsw as a primitive of its own.
#include "primitives/shared/hnsw/hnsw.h"

#include "core/registry.h"

namespace engram::hnsw {
namespace {

constexpr std::string_view kKeepVectors = "f32";
constexpr std::string_view kRerankChoices[] = {kKeepVectors, "none"};

constexpr OptionSpec kCreateOptions[] = {
    integer_option("M", 16, kMinM, kMaxM, "links per node and level, twice as many on level 0"),
    integer_option("EF_CONSTRUCTION", 200, 1, 10'000, "candidates kept while inserting"),
    integer_option("EF_SEARCH", 64, 1, 1'000'000,
                   "candidates kept while searching, unless EF says"),
    integer_option("SEED", 42, 0, kMaxSeed, "changes the levels that nodes are drawn"),
    choice_option("QUANT", "f32", kElementNames, "what walks compare: vectors, or codes of them"),
    choice_option("RERANK", kKeepVectors, kRerankChoices,
                  "whether vectors stay beside their codes, to rank again what was found"),
};

Element quant_of(const Options& options) {
  return *element_from_name(options.choice("QUANT"));
}

/// What the store keeps.
Element stored_element(const Options& options) {
  return options.choice("RERANK") == kKeepVectors ? Element::kF32 : quant_of(options);
}

Result<std::unique_ptr<Index>> create_index(const IndexContext& context, const Options& options) {
  const auto number = [&](std::string_view name) {
    return static_cast<std::size_t>(options.integer(name));
  };
  ENGRAM_TRY(check_insert_work(number("M"), number("EF_CONSTRUCTION"), context.store.dim()));
  auto index = Hnsw::create(context, {.m = number("M"),
                                      .ef_construction = number("EF_CONSTRUCTION"),
                                      .ef_search = number("EF_SEARCH"),
                                      .seed = number("SEED"),
                                      .quant = quant_of(options)});
  if (!index) return tl::unexpected(std::move(index.error()));
  return std::move(*index);
}

const Registration kRegistration({
    .name = "hnsw",
    .summary = "Approximate search: walks a layered graph of near neighbours",
    .source = "Malkov & Yashunin 2018",
    .traits = {.concurrent = true,
               .deferred_reclaim = true,
               .saves_structure = true,
               .takes_bias = true,
               .takes_items = true},
    .create_options = kCreateOptions,
    .stored_element = stored_element,
    .recalls_by_default = true,
    .create = create_index,
});

}  // namespace
}  // namespace engram::hnsw
