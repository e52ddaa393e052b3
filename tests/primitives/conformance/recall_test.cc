// SPDX-License-Identifier: Apache-2.0
// What core/recall.h says, of every primitive that recalls.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "core/abandonment.h"
#include "tests/primitives/conformance/conformance.h"

namespace engram::test::recall_test {
namespace {

/// Energies are sums of float32 products.
double tolerance(double energy) {
  return 1e-5 * (1 + std::abs(energy));
}

/// Runs test(variant, metric) for each primitive that recalls.
template <class Test>
void on_every_recalling_primitive(Test&& test) {
  on_every_primitive([&](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.recalls) test(variant, metric);
  });
}

/// The same, but for those whose recalls depend on more than the items they hold.
template <class Test>
void on_every_order_independent_primitive(Test&& test) {
  on_every_recalling_primitive([&](const Variant& variant, Metric metric) {
    if (recalls_by_items_alone(variant.primitive)) test(variant, metric);
  });
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

/// That a recall keeps the promises of its fields.
void check_recall(TestCollection& collection, const Recall& recall, std::size_t top) {
  REQUIRE(recall.state.size() == collection.store().dim());
  CHECK(all_finite(recall.state));
  if (collection.held().empty()) {
    CHECK(recall.kind == RecallKind::kEmpty);
    CHECK(!recall.attractor.has_value());
    return;
  }
  for (std::size_t i = 1; i < recall.energies.size(); ++i) {
    CHECK(recall.energies[i] <= recall.energies[i - 1] + tolerance(recall.energies[i - 1]));
  }
  CHECK(recall.support.size() <= top);
  double sum = 0;
  for (std::size_t i = 0; i < recall.support.size(); ++i) {
    const auto& [slot, weight] = recall.support[i];
    CHECK(collection.held().contains(slot));
    CHECK(weight > 0);
    if (i > 0) CHECK(weight <= recall.support[i - 1].weight);
    sum += weight;
  }
  CHECK(sum <= 1 + 1e-9);
  CHECK(recall.effective_count >= 1 - 1e-9);
  CHECK(recall.effective_count <= static_cast<double>(collection.held().size()) * (1 + 1e-9));
  if (recall.attractor && !recall.support.empty()) {
    CHECK(*recall.attractor == recall.support.front());
  }
  CHECK(recall.truncated >= 0);
  CHECK(recall.truncated <= 1);
}

TEST_CASE("primitives/conformance: recalls keep their promises, from any cue") {
  on_every_recalling_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(31);
    TestCollection collection = make_collection(variant, metric, 20);
    collection.add_all(clustered_vectors(rng, 600, 20));
    collection.tune();
    const Vectors cues = uniform_vectors(rng, 20, 20);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall recall = collection.recall_from({.vector = cues[i]}, {.top = 7});
      check_recall(collection, recall, 7);
      check_same(recall, collection.recall_from({.vector = cues[i]}, {.top = 7}));
      const auto energy = collection.index().recaller()->energy(cues[i], {}, collection.scratch());
      REQUIRE(recall.energies.empty() == !energy.has_value());
      if (!energy) {
        CHECK(energy.error().code == ErrorCode::kUnsupported);
        continue;
      }
      const bool is_same = *energy == recall.energies.front();  // both may be infinite
      CHECK((is_same ||
             std::abs(*energy - recall.energies.front()) <= tolerance(*energy) + recall.truncated));
    }
  });
}

TEST_CASE("primitives/conformance: an abandoned recall takes a step at most, the next one all") {
  const Abandonment abandoned = std::make_shared<std::atomic<bool>>(true);
  on_every_recalling_primitive([&](const Variant& variant, Metric metric) {
    Rng rng = make_rng(38);
    std::size_t most_steps = 0;
    TestCollection collection = make_collection(variant, metric, 20);
    collection.add_all(clustered_vectors(rng, 100, 20));
    collection.tune();
    const Vectors cues = uniform_vectors(rng, 3, 20);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall whole = collection.recall_from({.vector = cues[i]});
      most_steps = std::max<std::size_t>(most_steps, whole.steps);
      {
        const Abandonable abandonable(collection.scratch(), abandoned);
        CHECK(collection.recall_from({.vector = cues[i]}).steps <= 1);
      }
      check_same(whole, collection.recall_from({.vector = cues[i]}));
    }
    if (variant.primitive.name == "hopfield") CHECK(most_steps > 1);
  });
}

TEST_CASE("primitives/conformance: a recall of nothing, and of one item") {
  on_every_recalling_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(32);
    const Vectors vectors = uniform_vectors(rng, 3, 5);
    TestCollection collection = make_collection(variant, metric, 5);
    collection.add_all(vectors);
    collection.tune();
    collection.erase(0);
    collection.erase(1);
    const Recall one = collection.recall_from({.vector = vectors[0]});
    check_recall(collection, one, 10);
    CHECK(one.attractor.has_value());
    CHECK(one.kind == RecallKind::kPattern);
    collection.erase(2);
    const Recall none = collection.recall_from({.vector = vectors[0]});
    check_recall(collection, none, 10);
    CHECK(std::equal(none.state.begin(), none.state.end(), vectors[0].begin()));
    const auto energy = collection.index().recaller()->energy(vectors[0], {}, collection.scratch());
    CHECK(energy.value_or(std::numeric_limits<double>::infinity()) ==
          std::numeric_limits<double>::infinity());
  });
}

TEST_CASE("primitives/conformance: an item inserted and erased leaves recalls as they were") {
  on_every_order_independent_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(33);
    TestCollection collection = make_collection(variant, metric, 12);
    collection.add_all(uniform_vectors(rng, 300, 12));
    collection.tune();
    const Vectors cues = uniform_vectors(rng, 10, 12);
    std::vector<Recall> before;
    for (std::size_t i = 0; i < 10; ++i) before.push_back(collection.recall_from({cues[i]}));
    std::vector<Slot> added;
    for (std::size_t i = 0; i < 10; ++i) added.push_back(collection.add(cues[i]));
    for (const Slot slot : added) collection.erase(slot);
    for (std::size_t i = 0; i < 10; ++i) check_same(collection.recall_from({cues[i]}), before[i]);
  });
}

TEST_CASE("primitives/conformance: the order of insertion changes no recall") {
  on_every_order_independent_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(34);
    const Vectors vectors = uniform_vectors(rng, 300, 12);
    TestCollection forward = make_collection(variant, metric, 12);
    TestCollection backward = make_collection(variant, metric, 12);
    forward.add_all(vectors);
    for (std::size_t i = vectors.count(); i-- > 0;) backward.add(vectors[i]);
    forward.tune();
    backward.tune();
    const Vectors cues = uniform_vectors(rng, 10, 12);
    for (std::size_t i = 0; i < 10; ++i) {
      const Recall a = forward.recall_from({cues[i]});
      const Recall b = backward.recall_from({cues[i]});
      for (std::size_t k = 0; k < 12; ++k)
        CHECK(a.state[k] == doctest::Approx(b.state[k]).epsilon(1e-5));
      REQUIRE(a.attractor.has_value());
      CHECK(a.attractor->weight == doctest::Approx(b.attractor->weight).epsilon(1e-5));
    }
  });
}

TEST_CASE("primitives/conformance: a recall among some items is one of a memory of those") {
  on_every_order_independent_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(35);
    const Vectors vectors = uniform_vectors(rng, 400, 9);
    TestCollection all = make_collection(variant, metric, 9);
    TestCollection some = make_collection(variant, metric, 9);
    all.add_all(vectors);
    some.add_all(vectors);
    some.tune();
    SlotSet items;
    for (Slot slot = 0; slot < 400; ++slot) {
      if (slot % 3 == 0) {
        REQUIRE(items.insert(slot).has_value());
      } else {
        some.erase(slot);
      }
    }
    all.tune();
    const Vectors cues = uniform_vectors(rng, 10, 9);
    for (std::size_t i = 0; i < 10; ++i) {
      check_same(all.recall_from({cues[i]}, {.items = &items}), some.recall_from({cues[i]}));
    }
  });
}

TEST_CASE(
    "primitives/conformance: an item that is erased is still recalled among those it was of") {
  on_every_recalling_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(37);
    const Vectors vectors = uniform_vectors(rng, 120, 10);
    TestCollection collection = make_collection(variant, metric, 10);
    collection.add_all(vectors);
    collection.tune();
    SlotSet items;
    for (Slot slot = 0; slot < 120; ++slot) REQUIRE(items.insert(slot).has_value());
    const Vectors cues = uniform_vectors(rng, 10, 10);
    std::vector<Recall> before;
    for (std::size_t i = 0; i < 10; ++i) before.push_back(collection.recall_from({cues[i]}));
    for (Slot slot = 0; slot < 120; slot += 7) collection.erase(slot);
    for (std::size_t i = 0; i < 10; ++i) {
      check_same(collection.recall_from({cues[i]}, {.items = &items}), before[i]);
    }
    for (Slot slot = 1; slot < 120; ++slot) {
      if (slot % 7 != 0) collection.erase(slot);  // more is missing than is there
    }
    for (std::size_t i = 0; i < 10; ++i) {
      check_same(collection.recall_from({cues[i]}, {.items = &items}), before[i]);
    }
  });
}

TEST_CASE("primitives/conformance: what a mask hides means nothing, or masks are refused") {
  on_every_recalling_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(38);
    TestCollection collection = make_collection(variant, metric, 16);
    collection.add_all(clustered_vectors(rng, 200, 16));
    collection.tune();
    const std::vector<CoordinateRange> visible{{2, 7}, {9, 12}};
    const Vectors cues = uniform_vectors(rng, 10, 16);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      std::vector<float> other(16, 3.0F);
      for (const auto& [begin, end] : visible) {
        std::copy(&cues[i][begin], &cues[i][end], &other[begin]);
      }
      Recall recall;
      const Status recalled = collection.index().recaller()->recall(
          {.vector = cues[i], .visible = &visible}, {.top = 5}, collection.scratch(), recall);
      if (!recalled) {
        CHECK(recalled.error().code == ErrorCode::kInvalidArgument);
        continue;
      }
      check_recall(collection, recall, 5);
      check_same(recall,
                 collection.recall_from({.vector = other, .visible = &visible}, {.top = 5}));
      // Known numbers, or their signs, stay.
      for (const auto& [begin, end] : visible) {
        for (std::size_t k = begin; k < end; ++k) CHECK(recall.state[k] * cues[i][k] > 0);
      }
    }
  });
}

TEST_CASE("primitives/conformance: what a survey found can be adopted again, and seen") {
  on_every_recalling_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(36);
    const Vectors vectors = uniform_vectors(rng, 200, 8);
    TestCollection collection = make_collection(variant, metric, 8);
    Recaller& recaller = *collection.index().recaller();
    {
      const auto survey = recaller.survey({}).value();
      CHECK(!survey->step(collection.scratch()));
      CHECK(!survey->tuning().has_value());
    }
    collection.add_all(vectors);
    const auto survey = recaller.survey({.sample = 50, .seed = 7}).value();
    std::size_t steps = 1;
    while (survey->step(collection.scratch())) ++steps;
    CHECK(steps >= 50);
    const Tuning tuning = survey->tuning().value();
    CHECK(!survey->diagnosis().empty());
    recaller.adopt(tuning);
    const Recall before = collection.recall_from({vectors[0]});
    TestCollection other = make_collection(variant, metric, 8);
    other.add_all(vectors);
    other.index().recaller()->adopt(tuning);
    check_same(other.recall_from({vectors[0]}), before);
    CHECK(!recaller.describe().empty());
    recaller.adopt({{"no-such-number", 1}, {"beta", std::nan("")}});  // foreign, and damaged
  });
}

}  // namespace
}  // namespace engram::test::recall_test
