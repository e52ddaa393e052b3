// SPDX-License-Identifier: Apache-2.0
// What Traits::takes_bias promises: searches rank by effective scores, recalls subtract handicaps
// from logits.
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <numbers>
#include <thread>

#include "tests/primitives/conformance/conformance.h"
#include "tests/primitives/conformance/handicaps.h"

namespace engram::test::bias_test {
namespace {

template <class Test>
void on_every_biased_primitive(Test&& test) {
  on_every_primitive([&](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.takes_bias) test(variant, metric);
  });
}

template <class Test>
void on_every_biased_recaller(Test&& test) {
  on_every_biased_primitive([&](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.recalls) test(variant, metric);
  });
}

/// The k best of the held, by the kernel's scores and sums in double.
std::vector<std::pair<double, Slot>> oracle(TestCollection& collection, Metric metric,
                                            std::span<const float> query, const Handicaps& bias,
                                            double beta, std::size_t k) {
  const Bound bound(collection.kernel(), collection.prepare(query), collection.store());
  std::vector<std::pair<double, Slot>> all;
  for (const Slot slot : collection.held()) {
    all.emplace_back(effective_score(metric, bound.score(slot), bias.of(slot), beta), slot);
  }
  std::sort(all.begin(), all.end());
  all.resize(std::min(k, all.size()));
  return all;
}

/// The share of the oracle's answers that `hits` have as good ones of, after checking that each is
/// what it says.
double check_hits(TestCollection& collection, Metric metric, std::span<const float> query,
                  const Handicaps& bias, double beta, std::size_t k, const std::vector<Hit>& hits) {
  const auto truth = oracle(collection, metric, query, bias, beta, k);
  REQUIRE(hits.size() == truth.size());
  CHECK(std::is_sorted(hits.begin(), hits.end()));
  const Bound bound(collection.kernel(), collection.prepare(query), collection.store());
  std::set<Slot> distinct;
  std::size_t good = 0;
  bool right = true;
  for (const Hit& hit : hits) {
    const double expected = effective_score(metric, bound.score(hit.slot), bias.of(hit.slot), beta);
    right &= collection.held().contains(hit.slot);
    right &= std::abs(hit.score - expected) <= rounding_of(expected);
    right &= hit.score >= bound.score(hit.slot);
    distinct.insert(hit.slot);
    good += expected <= truth.back().first + rounding_of(expected);
  }
  CHECK(right);
  CHECK(distinct.size() == hits.size());
  return hits.empty() ? 1 : static_cast<double>(good) / static_cast<double>(hits.size());
}

TEST_CASE("primitives/conformance: with a bias the best by effective scores are found") {
  on_every_biased_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(70);
    TestCollection collection = make_collection(variant, metric, 16);
    collection.add_all(clustered_vectors(rng, 2500, 16));
    for (Slot slot = 0; slot < 2500; slot += 7) collection.erase(slot);
    Handicaps bias(2500);
    const Vectors queries = uniform_vectors(rng, 30, 16);
    for (const double half_lives : {0.0, 1.0, 30.0}) {
      CAPTURE(half_lives);
      bias.spread(rng, half_lives);
      for (const double beta : {0.5, 20.0}) {
        CAPTURE(beta);
        const ScoreBias scores(bias, metric, beta);
        double found = 0;
        for (std::size_t i = 0; i < queries.count(); ++i) {
          const auto hits = collection.search(queries[i], {.k = 10, .bias = &scores});
          const double share = check_hits(collection, metric, queries[i], bias, beta, 10, hits);
          if (variant.primitive.traits.exact) CHECK(share == 1);
          found += share;
        }
        CHECK(found / static_cast<double>(queries.count()) >= kRecallFloor);
      }
    }
    // Every item, in order: no structure may leave one out.
    const ScoreBias scores(bias, metric, 3);
    const auto all = collection.search(queries[0], {.k = 5000, .bias = &scores});
    CHECK(check_hits(collection, metric, queries[0], bias, 3, 5000, all) == 1);
  });
}

TEST_CASE("primitives/conformance: a bias that is nothing changes no bit of a search") {
  on_every_biased_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(71);
    TestCollection collection = make_collection(variant, metric, 12);
    collection.add_all(uniform_vectors(rng, 1800, 12));
    const Handicaps bias(1800);
    const ScoreBias scores(bias, metric, 0.01);
    const Vectors queries = uniform_vectors(rng, 40, 12);
    for (std::size_t i = 0; i < queries.count(); ++i) {
      CHECK(collection.search(queries[i], {.k = 10, .bias = &scores}) ==
            collection.search(queries[i], 10));
    }
  });
}

TEST_CASE("primitives/conformance: with a bias a batch answers as its queries one by one") {
  on_every_biased_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(72);
    const std::size_t dim = 1 + rng() % 60;
    CAPTURE(dim);
    TestCollection collection = make_collection(variant, metric, dim);
    collection.add_all(uniform_vectors(rng, 1500, dim));
    for (Slot slot = 0; slot < 1500; slot += 5) collection.erase(slot);
    Handicaps bias(1500);
    bias.spread(rng, 10);
    const ScoreBias scores(bias, metric, 4);
    const SearchParams params = {.k = 10, .bias = &scores};
    for (const std::size_t count : {1U, 3U, 64U, 200U}) {
      CAPTURE(count);
      const Vectors vectors = uniform_vectors(rng, count, dim);
      std::vector<AlignedBuffer> buffers(count);
      std::vector<Query> queries;
      for (std::size_t i = 0; i < count; ++i) {
        queries.push_back(collection.kernel().prepare(vectors[i], buffers[i]));
      }
      std::vector<std::vector<Hit>> hits(count);
      const Status searched =
          collection.index().search_batch(queries, params, collection.scratch(), hits);
      REQUIRE(searched.has_value());
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(hits[i] == collection.search(vectors[i], params));
      }
    }
  });
}

/// A handicap of which nothing is left after exp().
constexpr double kGone = 1e5;

TEST_CASE("primitives/conformance: what is weak enough has no part in a recall") {
  on_every_biased_recaller([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(73);
    const Vectors vectors = uniform_vectors(rng, 300, 10);
    TestCollection all = make_collection(variant, metric, 10);
    all.add_all(vectors);
    TestCollection strong = make_collection(variant, metric, 10);
    strong.add_all(vectors);
    all.tune();
    strong.tune();
    Handicaps bias(300);
    for (Slot slot = 0; slot < 300; slot += 2) {
      bias.set(slot, kGone);
      strong.erase(slot);
    }
    const Vectors cues = uniform_vectors(rng, 10, 10);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = all.recall_from({cues[i]}, {.bias = &bias});
      const Recall b = strong.recall_from({cues[i]});
      // Where nothing strong is near, lsr has the weak ones to go by.
      if (a.outside != b.outside || b.outside) continue;
      REQUIRE(a.attractor.has_value());
      CHECK(a.attractor->slot % 2 == 1);
      for (std::size_t k = 0; k < 10; ++k) {
        CHECK(a.state[k] == doctest::Approx(b.state[k]).epsilon(1e-4));
      }
    }
  });
}

TEST_CASE("primitives/conformance: one item is as strong as two of half the strength") {
  on_every_biased_recaller([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(74);
    const Vectors vectors = uniform_vectors(rng, 200, 10);
    TestCollection whole = make_collection(variant, metric, 10);
    TestCollection split = make_collection(variant, metric, 10);
    whole.add_all(vectors);
    split.add_all(vectors);
    const Tuning tuning = whole.tune();
    split.index().recaller()->adopt(tuning);
    Handicaps of_whole(200);
    of_whole.spread(rng, 5);
    Handicaps of_split(300);
    for (Slot slot = 0; slot < 200; ++slot) of_split.set(slot, of_whole.of(slot));
    for (Slot slot = 0; slot < 100; ++slot) {
      const Slot copy = split.add(vectors[slot]);
      of_split.set(slot, of_whole.of(slot) + std::numbers::ln2);
      of_split.set(copy, of_split.of(slot));
    }
    const Vectors cues = uniform_vectors(rng, 10, 10);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = whole.recall_from({cues[i]}, {.bias = &of_whole});
      const Recall b = split.recall_from({cues[i]}, {.bias = &of_split});
      for (std::size_t k = 0; k < 10; ++k) {
        CHECK(a.state[k] == doctest::Approx(b.state[k]).epsilon(1e-4));
      }
      if (a.energies.empty() || !std::isfinite(a.energies.back())) continue;
      CHECK(a.energies.back() == doctest::Approx(b.energies.back()).epsilon(1e-4));
    }
  });
}

TEST_CASE("primitives/conformance: what all items have as a handicap changes no recall") {
  on_every_biased_recaller([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(75);
    TestCollection collection = make_collection(variant, metric, 10);
    collection.add_all(uniform_vectors(rng, 300, 10));
    collection.tune();
    Handicaps bias(300);
    bias.spread(rng, 8);
    Handicaps more(300);
    for (Slot slot = 0; slot < 300; ++slot) more.set(slot, bias.of(slot) + 3.5);
    const Vectors cues = uniform_vectors(rng, 10, 10);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = collection.recall_from({cues[i]}, {.bias = &bias});
      const Recall b = collection.recall_from({cues[i]}, {.bias = &more});
      CHECK(a.kind == b.kind);
      for (std::size_t k = 0; k < 10; ++k) {
        CHECK(a.state[k] == doctest::Approx(b.state[k]).epsilon(1e-5));
      }
      for (std::size_t step = 1; step < a.energies.size(); ++step) {
        CHECK(a.energies[step] <= a.energies[step - 1] + 1e-5 * (1 + std::abs(a.energies[step])));
      }
    }
  });
}

TEST_CASE("primitives/conformance: handicaps change beside searches and recalls") {
  on_every_biased_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(76);
    TestCollection collection = make_collection(variant, metric, 8);
    collection.add_all(uniform_vectors(rng, 1200, 8));
    if (variant.primitive.traits.recalls) collection.tune();
    const Vectors queries = uniform_vectors(rng, 60, 8);
    Handicaps bias(1200);
    std::atomic<bool> ends{false};
    std::thread toucher([&] {
      Rng own = make_rng(77);
      while (!ends) bias.set(static_cast<Slot>(own() % 1200), static_cast<double>(own() % 10));
    });
    std::atomic<std::size_t> wrong{0};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader) {
      readers.emplace_back([&] {
        Scratch scratch;
        AlignedBuffer buffer;
        std::vector<Hit> hits;
        const ScoreBias scores(bias, metric, 2);
        for (std::size_t i = 0; i < queries.count(); ++i) {
          const Query query = collection.kernel().prepare(queries[i], buffer);
          const Status searched =
              collection.index().search(query, {.k = 10, .bias = &scores}, scratch, hits);
          if (!searched || hits.size() != 10 || !std::is_sorted(hits.begin(), hits.end())) ++wrong;
          const Recaller* const recaller = collection.index().recaller();
          if (recaller == nullptr || i % 10 != 0) continue;
          Recall recall;
          if (!recaller->recall({.vector = queries[i]}, {.bias = &bias}, scratch, recall)) ++wrong;
          if (recall.state.size() != 8 || !std::isfinite(recall.state[0])) ++wrong;
        }
      });
    }
    for (std::thread& reader : readers) reader.join();
    ends = true;
    toucher.join();
    CHECK(wrong == 0);
  });
}

TEST_CASE("primitives/conformance: what takes no bias takes no decay, and says who does") {
  for (const Primitive* const primitive : tested_primitives()) {
    CAPTURE(std::string(primitive->name));
    const auto made = make_index({.dim = 4,
                                  .metric = Metric::kL2,
                                  .primitive = primitive,
                                  .options = Options(primitive->create_options),
                                  .decay = {.policy = DecayPolicy::kStatic}});
    CHECK(made.has_value() == primitive->traits.takes_bias);
    if (made) continue;
    CHECK(made.error().code == ErrorCode::kInvalidArgument);
    CHECK(made.error().message.find(primitive->name) != std::string::npos);
  }
}

}  // namespace
}  // namespace engram::test::bias_test
