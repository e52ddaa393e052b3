// SPDX-License-Identifier: Apache-2.0
// The extremes of collections, vectors and options.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tests/primitives/conformance/conformance.h"

namespace engram::test::edge_cases_test {
namespace {

TEST_CASE("primitives/conformance: an empty index answers nothing") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    TestCollection collection = make_collection(variant, metric, 3);
    const Vectors query = equal_vectors(1, 3, 1);
    CHECK(collection.search(query[0], 10).empty());
    CHECK(collection.search(query[0], 0).empty());
    CHECK(collection.index().size() == 0);
  });
}

TEST_CASE("primitives/conformance: one element, no answers wanted, more wanted than there are") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(11);
    const Vectors vectors = uniform_vectors(rng, 300, 4);
    TestCollection collection = make_collection(variant, metric, 4);
    collection.add(vectors[0]);
    check_search(collection, vectors[1], 1);
    check_search(collection, vectors[1], 5);
    for (std::size_t i = 1; i < 300; ++i) collection.add(vectors[i]);
    for (const std::size_t k : {std::size_t{0}, std::size_t{299}, std::size_t{300},
                                std::size_t{301}, std::size_t{1} << 40, ~std::size_t{0}}) {
      CAPTURE(k);
      check_search(collection, vectors[0], k);
    }
  });
}

TEST_CASE("primitives/conformance: thousands of equal vectors are all found") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    constexpr std::size_t kCount = 3000;
    const Vectors vectors = equal_vectors(kCount, 8, 0.5F);
    TestCollection collection = make_collection(variant, metric, 8);
    collection.add_all(vectors);
    check_search(collection, vectors[0], kCount);
    check_search(collection, vectors[0], kCount / 2);
    for (Slot slot = 0; slot < kCount / 2; ++slot) collection.erase(slot);
    check_search(collection, vectors[0], kCount / 2);
    collection.reclaim();
    check_search(collection, vectors[0], kCount / 2);
    check_search(collection, vectors[0], 100);
  });
}

TEST_CASE("primitives/conformance: a few vectors are found among thousands of equal ones") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(12);
    const Vectors others = uniform_vectors(rng, 100, 8);
    TestCollection collection = make_collection(variant, metric, 8);
    for (std::size_t i = 0; i < 2000; ++i) {
      collection.add(i % 20 == 0 ? others[i / 20] : equal_vectors(1, 8, 0.25F)[0]);
    }
    double found = 0;
    for (std::size_t i = 0; i < others.count(); ++i) {
      const auto truth = collection.expected(others[i], 1);
      found += recall_of(collection.search(others[i], 10), truth);
    }
    CHECK(found / static_cast<double>(others.count()) >= kRecallFloor);
  });
}

TEST_CASE("primitives/conformance: a zero vector is at its defined distance from everything") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(13);
    TestCollection collection = make_collection(variant, metric, 5);
    const Vectors zero = equal_vectors(1, 5, 0);
    const Vectors others = uniform_vectors(rng, 200, 5);
    for (std::size_t i = 0; i < others.count(); ++i)
      collection.add(i % 4 == 0 ? zero[0] : others[i]);
    for (const Hit& hit : collection.search(zero[0], 200)) {
      const float distance = score_to_distance(metric, hit.score);
      if (metric == Metric::kCosine) CHECK(distance == 1);
      if (metric == Metric::kDot) CHECK(distance == 0);
    }
    check_search(collection, zero[0], 10);
    check_search(collection, others[1], 200);
  });
}

TEST_CASE("primitives/conformance: l2 distances are right and in order where squares underflow") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    if (metric != Metric::kL2) return;
    constexpr std::size_t kCount = 300;
    constexpr double kLeast = 1e-27;
    constexpr double kRatio = 1.1;
    Rng rng = make_rng(15);
    std::vector<std::size_t> ranks(kCount);  // [slot]
    std::iota(ranks.begin(), ranks.end(), std::size_t{0});
    std::shuffle(ranks.begin(), ranks.end(), rng);
    const auto distance_at = [](std::size_t rank) {
      return kLeast * std::pow(kRatio, static_cast<double>(rank));  // to 2.3e-15
    };
    TestCollection collection = make_collection(variant, metric, 3);
    for (const std::size_t rank : ranks) {
      collection.add(std::vector<float>{0, static_cast<float>(distance_at(rank)), 0});
    }
    const auto hits = collection.search(equal_vectors(1, 3, 0)[0], kCount);
    REQUIRE(hits.size() == kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
      CHECK(ranks[hits[i].slot] == i);
      CHECK(score_to_distance(metric, hits[i].score) ==
            doctest::Approx(distance_at(i)).epsilon(1e-5));
    }
  });
}

TEST_CASE("primitives/conformance: one dimension, and as many as there may be") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(14);
    const Options options =
        Options::parse(variant.primitive.create_options, variant.options).value();
    for (const std::size_t dim : {std::size_t{1}, max_dimension(variant.primitive, options)}) {
      CAPTURE(dim);
      const Vectors vectors = uniform_vectors(rng, dim == 1 ? 500 : 20, dim);
      TestCollection collection = make_collection(variant, metric, dim);
      collection.add_all(vectors);
      check_search(collection, vectors[0], 5);
      collection.erase(0);
      collection.reclaim();
      check_search(collection, vectors[0], 50);
    }
  });
}

TEST_CASE("primitives/conformance: vectors of the greatest and the least norms do no harm") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    TestCollection collection = make_collection(variant, metric, 4);
    const auto large = static_cast<float>(kMaxNorm / 4);
    for (int i = 0; i < 300; ++i) {
      const float size = i % 2 == 0 ? large : 1e-40F;
      const float sign = i % 3 == 0 ? -1.0F : 1.0F;
      const std::vector<float> vector{size, sign * size, static_cast<float>(i) * size / 300, 0};
      collection.add(vector);
    }
    for (const float query : {large, -large, 1e-40F, 1.0F}) {
      check_search(collection, equal_vectors(1, 4, query)[0], 10);
    }
  });
}

/// The least, default and greatest value of a numeric option, or all choices.
std::vector<std::string> values_of(const OptionSpec& spec) {
  if (spec.type == OptionType::kChoice) return {spec.choices.begin(), spec.choices.end()};
  const std::string range = spec.range();
  const auto dots = range.find("..");
  return {range.substr(0, dots), spec.default_text(), range.substr(dots + 2)};
}

/// An index with that option, of which the others have their defaults, in use.
void check_option(const Primitive& primitive, Metric metric, OptionText option,
                  const Vectors& vectors) {
  const std::size_t dim = vectors.dim;
  const std::vector<OptionText> given{option};
  const auto options = Options::parse(primitive.create_options, given);
  REQUIRE(options.has_value());
  const auto index =
      make_index({.dim = dim, .metric = metric, .primitive = &primitive, .options = *options});
  if (!index) {  // it does not go with the metric, or address space is short under a sanitizer
    CHECK((index.error().code == ErrorCode::kInvalidArgument ||
           index.error().code == ErrorCode::kResourceExhausted));
    CHECK(!index.error().message.empty());
    return;
  }
  TestCollection collection(primitive, metric, dim, given);
  collection.add_all(vectors);
  check_search(collection, vectors[0], 10);
  check_search(collection, vectors[1], 250);
}

TEST_CASE("primitives/conformance: every option works at its least, default and greatest value") {
  Rng rng = make_rng(15);
  const Vectors vectors = uniform_vectors(rng, 250, 6);
  // Where not all variants are tried, not in every metric either.
  const std::uint64_t step = std::min<std::uint64_t>(variant_step(), std::size(kMetrics));
  std::uint64_t turn = variant_turn();
  for (const Primitive* const primitive : tested_primitives()) {
    for (const OptionSpec& spec : primitive->create_options) {
      for (const std::string& value : values_of(spec)) {
        for (const Metric metric : kMetrics) {
          if (turn++ % step != 0) continue;
          CAPTURE(primitive->name);
          CAPTURE(spec.name);
          CAPTURE(value);
          CAPTURE(metric_name(metric));
          check_option(*primitive, metric, {spec.name, value}, vectors);
        }
      }
    }
  }
}

TEST_CASE("primitives/conformance: options outside their range are refused with the range") {
  for (const Primitive* const primitive : tested_primitives()) {
    for (const OptionSpec& spec : primitive->create_options) {
      if (spec.type == OptionType::kChoice) continue;
      CAPTURE(primitive->name);
      CAPTURE(spec.name);
      const std::string below = std::to_string(static_cast<long long>(spec.minimum) - 1);
      const std::string above = std::to_string(static_cast<long long>(spec.maximum) + 1);
      for (const std::string& value : {below, above, std::string("many"), std::string()}) {
        const std::vector<OptionText> given{{spec.name, value}};
        const auto options = Options::parse(primitive->create_options, given);
        REQUIRE_FALSE(options.has_value());
        CHECK(options.error().code == ErrorCode::kInvalidArgument);
        CHECK(options.error().message.find(spec.range()) != std::string::npos);
      }
    }
  }
}

TEST_CASE("primitives/conformance: registration says what people need to know") {
  for (const Primitive* const primitive : tested_primitives()) {
    CAPTURE(primitive->name);
    CHECK_FALSE(primitive->summary.empty());
    CHECK_FALSE(primitive->source.empty());
    CHECK_FALSE(primitive->summary.ends_with('.'));
    for (const OptionSpec& spec : primitive->create_options) CHECK_FALSE(spec.help.empty());
    for (const OptionSpec& spec : primitive->search_options) CHECK_FALSE(spec.help.empty());
  }
}

TEST_CASE("primitives/conformance: memory is told and grows with the collection") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(16);
    TestCollection collection = make_collection(variant, metric, 8);
    const std::size_t empty = collection.index().memory_bytes();
    collection.add_all(uniform_vectors(rng, 2000, 8));
    const std::size_t full = collection.index().memory_bytes();
    CHECK(full >= empty);
    CHECK(full >= 2000 / 8);     // a bit for each
    CHECK(full <= (64U << 20));  // nothing that grew by address space instead of use
  });
}

}  // namespace
}  // namespace engram::test::edge_cases_test
