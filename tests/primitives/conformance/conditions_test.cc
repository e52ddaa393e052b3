// SPDX-License-Identifier: Apache-2.0
// What Traits::takes_items promises: only accepted items are answered, k of them if there are k,
// all within a radius, and what it took is told.
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <thread>

#include "core/hash.h"
#include "tests/primitives/conformance/conformance.h"
#include "tests/primitives/conformance/handicaps.h"

namespace engram::test::conditions_test {
namespace {

constexpr float kAnywhere = std::numeric_limits<float>::infinity();

/// Items by slot, which may change while others read.
class Chosen final : public ItemFilter {
 public:
  explicit Chosen(std::size_t slots) : chosen_(slots) {}

  bool accepts(Slot slot) const noexcept override {
    return chosen_[slot].load(std::memory_order_relaxed);
  }
  void set(Slot slot, bool chosen) { chosen_[slot].store(chosen, std::memory_order_relaxed); }

 private:
  std::vector<std::atomic<bool>> chosen_;
};

template <class Test>
void on_every_choosing_primitive(Test&& test) {
  on_every_primitive([&](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.takes_items) test(variant, metric);
  });
}

/// A collection with holes, a bias of its items, and right answers.
class Conditions {
 public:
  Conditions(const Variant& variant, Metric metric, std::size_t count, Rng& rng)
      : metric_(metric),
        collection_(make_collection(variant, metric, kDim)),
        vectors_(clustered_vectors(rng, count, kDim)),
        handicaps_(count),
        bias_(handicaps_, metric, kBeta) {
    collection_.add_all(vectors_);
    for (Slot slot = 0; slot < count; slot += 7) collection_.erase(slot);
    handicaps_.spread(rng, 4);
  }

  static constexpr std::size_t kDim = 16;

  TestCollection& collection() { return collection_; }
  std::size_t count() const { return vectors_.count(); }
  const Vectors& vectors() const { return vectors_; }
  const ScoreBias& bias() const { return bias_; }

  /// Every held item that meets the conditions, best first.
  std::vector<std::pair<double, Slot>> meeting(std::span<const float> query,
                                               const SearchParams& params) {
    const Bound bound(collection_.kernel(), collection_.prepare(query), collection_.store());
    std::vector<std::pair<double, Slot>> all;
    for (const Slot slot : collection_.held()) {
      if (params.items != nullptr && !params.items->accepts(slot)) continue;
      const double score = score_of(bound, slot, params);
      if (score <= double{params.max_score}) all.emplace_back(score, slot);
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  /// The share of the right answers that a search finds, after checking that each of its own is
  /// one: held, accepted, within the radius, with its score, in order.
  double check(std::span<const float> query, const SearchParams& params) {
    const auto hits = collection_.search(query, params);
    auto right = meeting(query, params);
    const std::size_t wanted = std::min(params.k, right.size());
    CHECK(hits.size() <= wanted);
    if (params.max_score == kAnywhere) CHECK(hits.size() == wanted);
    CHECK(std::is_sorted(hits.begin(), hits.end()));
    right.resize(wanted);
    const Bound bound(collection_.kernel(), collection_.prepare(query), collection_.store());
    std::set<Slot> distinct;
    std::size_t good = 0;
    bool sound = true;
    for (const Hit& hit : hits) {
      const double score = score_of(bound, hit.slot, params);
      sound &= collection_.held().contains(hit.slot) && hit.score <= params.max_score;
      sound &= params.items == nullptr || params.items->accepts(hit.slot);
      sound &= std::abs(hit.score - score) <= rounding_of(score);
      distinct.insert(hit.slot);
      good += !right.empty() && score <= right.back().first + rounding_of(score);
    }
    CHECK(sound);
    CHECK(distinct.size() == hits.size());
    return wanted == 0 ? 1 : static_cast<double>(good) / static_cast<double>(wanted);
  }

 private:
  static constexpr double kBeta = 6;

  double score_of(const Bound& bound, Slot slot, const SearchParams& params) const {
    const float score = bound.score(slot);
    if (params.bias == nullptr) return double{score};
    return effective_score(metric_, score, handicaps_.of(slot), kBeta);
  }

  Metric metric_;
  TestCollection collection_;
  Vectors vectors_;
  Handicaps handicaps_;
  ScoreBias bias_;
};

/// Of the mean over a few queries. Under dot the items of the greatest norms answer all of them,
/// and whether a narrow beam gets to those is one draw for all queries: of 1,000 seeds about one in
/// ten has a mean below kRecallFloor. What answers by chance still fails.
double floor_of_conditions(Metric metric) {
  return metric == Metric::kDot ? 0.4 : kRecallFloor;
}

/// Which items a filter chooses, for a query.
using Choice = std::function<bool(Slot slot)>;
struct NamedChoice {
  const char* name;
  Choice choose;
};

/// Filters that are independent of the vectors, follow them, and go against the query.
std::vector<NamedChoice> choices(Conditions& conditions, std::span<const float> query) {
  TestCollection& collection = conditions.collection();
  const auto nearest = collection.expected(query, collection.held().size());
  std::vector<std::size_t> place(conditions.count());
  for (std::size_t i = 0; i < nearest.size(); ++i) place[nearest[i].slot] = i;
  const auto share = [](Slot slot) { return static_cast<double>(mix(slot) % 1000) / 1000; };
  const Vectors& vectors = conditions.vectors();
  return {{"none", [](Slot) { return false; }},
          {"all", [](Slot) { return true; }},
          {"all but the nearest", [place](Slot slot) { return place[slot] > 0; }},
          {"one", [](Slot slot) { return slot == 8; }},
          {"a few", [share](Slot slot) { return share(slot) < 0.005; }},
          {"a tenth", [share](Slot slot) { return share(slot) < 0.1; }},
          {"most", [share](Slot slot) { return share(slot) < 0.8; }},
          {"a half space", [&vectors](Slot slot) { return vectors[slot][0] > 0.2F; }},
          {"the near", [place](Slot slot) { return place[slot] < 300; }},
          {"the far", [place](Slot slot) { return place[slot] > 1500; }}};
}

TEST_CASE("primitives/conformance: of accepted items the nearest are found, k if there are k") {
  on_every_choosing_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(80);
    Conditions conditions(variant, metric, 2400, rng);
    const Vectors queries = uniform_vectors(rng, 4, Conditions::kDim);
    Chosen filter(conditions.count());
    std::map<std::string, std::pair<double, double>> found;  // share, searches
    for (std::size_t i = 0; i < queries.count(); ++i) {
      for (const NamedChoice& named : choices(conditions, queries[i])) {
        CAPTURE(named.name);
        for (Slot slot = 0; slot < conditions.count(); ++slot) filter.set(slot, named.choose(slot));
        const auto matches = conditions.meeting(queries[i], {.items = &filter}).size();
        // What the caller says of their number is for speed. Wrong, it leads all ways there are.
        for (const auto told : {std::optional<std::size_t>(), std::optional(matches),
                                std::optional<std::size_t>(2400)}) {
          for (const bool is_biased : {false, true}) {
            if (is_biased && !variant.primitive.traits.takes_bias) continue;
            for (const SearchParams& size : {SearchParams{}, SearchParams{.k = 5, .ef = 12}}) {
              SearchParams params = size;
              params.items = &filter;
              params.matches = told;
              if (is_biased) params.bias = &conditions.bias();
              const double share = conditions.check(queries[i], params);
              if (variant.primitive.traits.exact) CHECK(share == 1);
              auto& [sum, count] = found[named.name];
              sum += share;
              ++count;
            }
          }
        }
        const SearchParams everything{.k = 5000, .items = &filter};
        CHECK(conditions.check(queries[i], everything) == 1);
      }
    }
    for (const auto& each : found) {
      CAPTURE(each.first);
      CHECK(each.second.first / each.second.second >= floor_of_conditions(metric));
    }
  });
}

TEST_CASE("primitives/conformance: all within a radius are found, k at most") {
  on_every_choosing_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(81);
    Conditions conditions(variant, metric, 2400, rng);
    Chosen half(conditions.count());
    for (Slot slot = 0; slot < conditions.count(); ++slot) half.set(slot, mix(slot) % 2 == 0);
    double found = 0;
    double searches = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto query = conditions.vectors()[i * 7 + 1];
      const auto all = conditions.collection().expected(query, 2400);
      for (const std::size_t within : {0U, 1U, 12U, 150U, 700U}) {
        CAPTURE(within);
        const float radius =
            within == 0 ? std::nextafter(all[0].score, -kAnywhere) : all[within - 1].score;
        for (const bool is_filtered : {false, true}) {
          for (const bool is_biased : {false, true}) {
            if (is_biased && !variant.primitive.traits.takes_bias) continue;
            for (const std::size_t k : {7U, 10'000U}) {
              SearchParams params{.k = k, .max_score = radius};
              if (is_filtered) params.items = &half;
              if (is_biased) params.bias = &conditions.bias();
              const double share = conditions.check(query, params);
              if (variant.primitive.traits.exact) CHECK(share == 1);
              found += share;
              ++searches;
            }
          }
        }
      }
    }
    CHECK(found / searches >= 0.98);
  });
}

TEST_CASE("primitives/conformance: a batch with conditions answers as its queries one by one") {
  on_every_choosing_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(82);
    Conditions conditions(variant, metric, 1500, rng);
    Chosen filter(conditions.count());
    for (Slot slot = 0; slot < conditions.count(); ++slot) filter.set(slot, mix(slot) % 3 == 0);
    const auto middle = conditions.collection().expected(conditions.vectors()[1], 200).back();
    for (const SearchParams& asked :
         {SearchParams{.items = &filter}, SearchParams{.max_score = middle.score},
          SearchParams{.k = 60, .items = &filter, .max_score = middle.score}}) {
      for (const std::size_t count : {1U, 40U}) {
        const Vectors vectors = uniform_vectors(rng, count, Conditions::kDim);
        TestCollection& collection = conditions.collection();
        std::vector<AlignedBuffer> buffers(count);
        std::vector<Query> queries;
        for (std::size_t i = 0; i < count; ++i) {
          queries.push_back(collection.kernel().prepare(vectors[i], buffers[i]));
        }
        SearchEffort together;
        SearchEffort alone;
        SearchParams params = asked;
        params.effort = &together;
        std::vector<std::vector<Hit>> hits(count);
        REQUIRE(collection.index().search_batch(queries, params, collection.scratch(), hits));
        params.effort = &alone;
        for (std::size_t i = 0; i < count; ++i) {
          CHECK(hits[i] == collection.search(vectors[i], params));
        }
        CHECK(together.scored == alone.scored);
        CHECK(together.visited == alone.visited);
        CHECK(together.complete);
      }
    }
  });
}

TEST_CASE("primitives/conformance: a search tells what it took, and what it left undone") {
  on_every_choosing_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(83);
    Conditions conditions(variant, metric, 2400, rng);
    TestCollection& collection = conditions.collection();
    const auto query = conditions.vectors()[1];
    Chosen filter(conditions.count());
    for (Slot slot = 0; slot < conditions.count(); ++slot) filter.set(slot, mix(slot) % 2 == 0);
    const std::size_t matches = conditions.meeting(query, {.items = &filter}).size();

    SearchEffort plain;
    const auto hits = collection.search(query, {.k = 10, .effort = &plain});
    CHECK(hits == collection.search(query, 10));
    CHECK(plain.scored >= 10);
    CHECK(plain.complete);
    if (variant.primitive.traits.exact) {
      CHECK(plain.scored == collection.held().size());
      CHECK(plain.visited == 0);
      SearchEffort filtered;
      collection.search(query, {.k = 10, .items = &filter, .effort = &filtered});
      CHECK(filtered.scored == matches);
    }
    for (const std::size_t most : {1U, 5U, 40U}) {
      SearchEffort effort;
      const auto some = collection.search(
          query, {.k = 20, .ef = 20, .items = &filter, .most_visited = most, .effort = &effort});
      if (effort.complete) CHECK(some.size() == 20);
      if (variant.primitive.traits.exact) CHECK(effort.complete);
      CHECK(effort.visited <= most + 8);
      for (const Hit& hit : some) CHECK(filter.accepts(hit.slot));
    }
    const SearchPlan plan = collection.index().plan({.items = &filter, .matches = matches});
    if (variant.primitive.traits.exact) CHECK(!plan.walks);
    if (!plan.walks) return;
    CHECK(plan.walk_cost < 2400);
  });
}

TEST_CASE("primitives/conformance: accepted items come and go at once with searches") {
  on_every_choosing_primitive([](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.concurrent) return;
    constexpr std::size_t kStays = 900;
    constexpr std::size_t kComes = 500;
    Rng rng = make_rng(84);
    TestCollection collection = make_collection(variant, metric, 8);
    const Vectors vectors = clustered_vectors(rng, kStays + kComes, 8);
    for (std::size_t i = 0; i < kStays; ++i) collection.add(vectors[i]);
    Chosen filter(kStays + kComes);  // a tenth of those that stay, and what comes changes
    for (Slot slot = 0; slot < kStays; slot += 10) filter.set(slot, true);
    for (std::size_t i = kStays; i < kStays + kComes; ++i) {
      collection.store().write(collection.store().allocate().value(), vectors[i]);
    }
    std::atomic<bool> wrong{false};
    std::thread writer([&] {
      Scratch scratch;
      for (Slot slot = kStays; slot < kStays + kComes; ++slot) {
        filter.set(slot, slot % 3 == 0);
        if (!collection.index().insert({slot, mix(slot), slot + 1}, scratch)) wrong = true;
        filter.set(slot - 40, slot % 5 == 0 || (slot - 40 < kStays && (slot - 40) % 10 == 0));
        if (slot % 4 == 0) collection.index().erase(slot, scratch);
      }
    });
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 2; ++reader) {
      readers.emplace_back([&] {
        Scratch scratch;
        AlignedBuffer buffer;
        std::vector<Hit> hits;
        for (std::size_t i = 0; i < 150; ++i) {
          const Query query = collection.kernel().prepare(vectors[i], buffer);
          SearchParams params{.k = 20, .ef = 20, .items = &filter};
          if (i % 3 == 1) params.matches = kStays;  // a walk
          if (i % 3 == 2) params.max_score = kAnywhere / 2;
          if (!collection.index().search(query, params, scratch, hits)) wrong = true;
          // Ninety stay accepted, and are held, throughout.
          if (hits.size() != 20 || !std::is_sorted(hits.begin(), hits.end())) wrong = true;
        }
      });
    }
    writer.join();
    for (std::thread& reader : readers) reader.join();
    CHECK(!wrong);
  });
}

}  // namespace
}  // namespace engram::test::conditions_test
