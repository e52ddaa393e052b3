// SPDX-License-Identifier: Apache-2.0
// What the contract in core/index.h says, tested on every registered primitive. Nothing here knows
// a primitive by name: a new one is covered from the day it is linked.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/registry.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::test {

/// A primitive with some of its options chosen.
struct Variant {
  const Primitive& primitive;
  std::vector<OptionText> options;
  std::string name;
};

/// Whether it only says how a recall goes unless VRECALL says otherwise.
inline bool is_of_recalls(const Primitive& primitive, const OptionSpec& spec) {
  const auto recalls = primitive.recall_options;
  return std::any_of(recalls.begin(), recalls.end(),
                     [&](const OptionSpec& other) { return other.name == spec.name; });
}

/// The primitive with every combination of its options that are choices: what one is made of rather
/// than tuned by.
inline std::vector<Variant> variants_of(const Primitive& primitive) {
  std::vector<Variant> variants{{primitive, {}, std::string(primitive.name)}};
  for (const OptionSpec& spec : primitive.create_options) {
    if (is_of_recalls(primitive, spec)) continue;
    std::vector<Variant> extended;
    for (const Variant& variant : variants) {
      for (const std::string_view choice : spec.choices) {
        extended.push_back(variant);
        extended.back().options.emplace_back(spec.name, choice);
        extended.back().name += " " + std::string(choice);
      }
    }
    if (!spec.choices.empty()) variants = std::move(extended);
  }
  return variants;
}

/// Whether what it recalls depends on nothing but the items it holds.
inline bool recalls_by_items_alone(const Primitive& primitive) {
  return primitive.traits.recalls && !primitive.traits.order_dependent;
}

/// The primitives under test: all, or the one that ENGRAM_PRIMITIVE names.
inline std::vector<const Primitive*> tested_primitives() {
  std::vector<const Primitive*> tested;
  const char* const only = std::getenv("ENGRAM_PRIMITIVE");
  for (const Primitive* const primitive : primitives()) {
    if (only == nullptr || primitive->name == only) tested.push_back(primitive);
  }
  if (tested.empty()) FAIL("no primitive is named ENGRAM_PRIMITIVE=" << only);
  return tested;
}

/// ENGRAM_VARIANT_STEP, or 1: only every so many-th is to be tried, where they take long. A
/// primitive that is tested alone is tested in all its variants.
inline std::uint64_t variant_step() {
  if (std::getenv("ENGRAM_PRIMITIVE") != nullptr) return 1;
  return std::max<std::uint64_t>(1, environment_number("ENGRAM_VARIANT_STEP", 1));
}

/// ENGRAM_VARIANT_TURN, or what the seed of the run draws: which ones are tried if not all are.
inline std::uint64_t variant_turn() {
  return environment_number("ENGRAM_VARIANT_TURN", run_seed());
}

/// Runs test(variant, metric) as a subcase for each primitive, in all its variants, and metric, or
/// as variant_step() and variant_turn() say.
template <class Test>
void on_every_primitive(Test&& test) {
  std::uint64_t turn = variant_turn();
  for (const Primitive* const primitive : tested_primitives()) {
    for (const Variant& variant : variants_of(*primitive)) {
      for (const Metric metric : kMetrics) {
        if (turn++ % variant_step() != 0) continue;
        const std::string name = variant.name + " " + std::string(metric_name(metric));
        SUBCASE(name.c_str()) {
          INFO(name);
          test(variant, metric);
        }
      }
    }
  }
}

/// A collection of that variant.
inline TestCollection make_collection(const Variant& variant, Metric metric, std::size_t dim) {
  return TestCollection(variant.primitive, metric, dim, variant.options);
}

/// An approximate primitive need not find everything, but one that finds less than this with its
/// default options, in collections as small as these, is broken.
inline constexpr double kRecallFloor = 0.8;

/// That `hits` are a complete answer: min(k, size) held slots in order, each with its true score;
/// the nearest ones if the primitive is exact.
inline void check_answer(TestCollection& collection, std::span<const float> query, std::size_t k,
                         const std::vector<Hit>& hits) {
  if (collection.primitive().traits.exact || k >= collection.held().size()) {
    CHECK(hits == collection.expected(query, k));
    return;
  }
  REQUIRE(hits.size() == std::min(k, collection.held().size()));
  CHECK(std::is_sorted(hits.begin(), hits.end()));
  const Bound bound(collection.kernel(), collection.prepare(query), collection.store());
  std::set<Slot> distinct;
  bool right = true;
  for (const Hit& hit : hits) {
    right &= collection.held().contains(hit.slot) && hit.score == bound.score(hit.slot);
    distinct.insert(hit.slot);
  }
  CHECK(right);
  CHECK(distinct.size() == hits.size());
}

/// search() and check_answer().
inline void check_search(TestCollection& collection, std::span<const float> query, std::size_t k) {
  check_answer(collection, query, k, collection.search(query, k));
}

/// That two recalls are the same to the bit.
inline void check_same(const Recall& a, const Recall& b) {
  CHECK(a.state == b.state);
  CHECK(a.attractor == b.attractor);
  CHECK(a.onestep == b.onestep);
  CHECK(a.support == b.support);
  CHECK(a.energies == b.energies);
  CHECK(a.kind == b.kind);
}

}  // namespace engram::test
