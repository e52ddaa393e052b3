// SPDX-License-Identifier: Apache-2.0
// Saving and loading, also while the index is changed.
#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "core/hash.h"
#include "tests/primitives/conformance/conformance.h"

namespace engram::test::persistence_test {
namespace {

constexpr std::size_t kDim = 10;

/// Runs test(variant, metric) for each primitive that saves its structure.
template <class Test>
void on_every_saving_primitive(Test&& test) {
  on_every_primitive([&](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.saves_structure) test(variant, metric);
  });
}

/// Gives a collection a history: slots that were erased and used again.
void fill(TestCollection& collection, Rng& rng, std::size_t count) {
  const std::size_t dim = collection.store().dim();
  collection.add_all(uniform_vectors(rng, count, dim));
  for (Slot slot = 0; slot < count; slot += 5) collection.erase(slot);
  collection.reclaim();
  collection.add_all(uniform_vectors(rng, (count + 4) / 5, dim));
}

/// What a collection recalled, if it can, and what has to be known of it to recall so again.
struct Recalled {
  Tuning tuning;
  std::vector<Recall> recalls;
};

Recalled recall_among(TestCollection& collection, const Vectors& cues, const SlotSet& items,
                      Tuning tuning) {
  Recalled recalled{std::move(tuning), {}};
  if (!recalls_by_items_alone(collection.primitive())) return recalled;
  for (std::size_t i = 0; i < cues.count(); ++i) {
    recalled.recalls.push_back(collection.recall_from({cues[i]}, {.items = &items}));
  }
  return recalled;
}

/// A few items are enough of a sample.
Tuning tune(TestCollection& collection) {
  return collection.primitive().traits.recalls ? collection.tune(20) : Tuning{};
}

/// That a fresh collection recalls the same to the bit.
void check_recalls(TestCollection& collection, const Vectors& cues, const Recalled& before) {
  if (!recalls_by_items_alone(collection.primitive())) return;
  collection.index().recaller()->adopt(before.tuning);
  for (std::size_t i = 0; i < cues.count(); ++i) {
    check_same(collection.recall_from({cues[i]}), before.recalls[i]);
  }
}

/// That a restored collection has these items, all of which are found, and nothing else, before and
/// after what remained inside is reclaimed; and that it can be changed.
void check_restored(TestCollection& collection, const SlotSet& items, Rng& rng) {
  CHECK(collection.index().size() == items.size());
  const double floor = collection.primitive().traits.exact ? 1 : kRecallFloor;
  const Vectors queries = uniform_vectors(rng, 50, kDim);
  for (const bool reclaimed : {false, true}) {
    CAPTURE(reclaimed);
    if (reclaimed) collection.reclaim();
    check_search(collection, queries[0], 10);
    check_search(collection, queries[1], items.size());
    check_search(collection, queries[2], items.size() / 2);
    CHECK(collection.recall(queries, {.k = 10}) >= floor);
    CHECK(collection.recall(queries, {.k = 10, .ef = items.size() - 1}) >= 0.99 * floor);
  }
  collection.add_all(uniform_vectors(rng, 300, kDim));
  check_search(collection, queries[3], 10);
  CHECK(collection.recall(queries, {.k = 10}) >= floor);
}

TEST_CASE("primitives/conformance: a loaded index gives the answers of the saved one") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(21);
    for (const std::size_t count : {0U, 1U, 2U, 1000U}) {
      CAPTURE(count);
      TestCollection collection = make_collection(variant, metric, kDim);
      fill(collection, rng, count);
      const Vectors queries = uniform_vectors(rng, 30, kDim);
      std::vector<std::vector<Hit>> before;
      for (std::size_t i = 0; i < 30; ++i) before.push_back(collection.search(queries[i], 10));

      const auto saved = collection.save();
      const Sections source = saved->index;
      REQUIRE(collection.restore(*saved).has_value());
      CHECK(collection.index().size() == saved->items.size());
      for (std::size_t i = 0; i < 30; ++i) CHECK(collection.search(queries[i], 10) == before[i]);
      CHECK(collection.save()->index == source);

      collection.add_all(uniform_vectors(rng, 200, kDim));
      check_search(collection, queries[0], 10);
      CHECK(saved->index == source);  // what was placed is a copy
    }
  });
}

TEST_CASE(
    "primitives/conformance: a loaded index recalls as the saved one, and goes on as it would") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.recalls) return;
    Rng rng = make_rng(27);
    TestCollection collection = make_collection(variant, metric, kDim);
    fill(collection, rng, 200);
    const Tuning tuning = tune(collection);
    const Vectors cues = uniform_vectors(rng, 5, kDim);
    const auto recall_all = [&] {
      std::vector<Recall> recalls;
      for (std::size_t i = 0; i < 5; ++i) recalls.push_back(collection.recall_from({cues[i]}));
      return recalls;
    };
    const Vectors later = uniform_vectors(rng, 20, kDim);
    const std::vector<Recall> before = recall_all();
    collection.reclaim();
    const auto saved = collection.save();
    std::vector<std::vector<Recall>> after;
    for (const bool is_loaded : {false, true}) {
      if (is_loaded) {
        REQUIRE(collection.restore(*saved).has_value());
        collection.index().recaller()->adopt(tuning);
        const std::vector<Recall> loaded = recall_all();
        for (std::size_t i = 0; i < 5; ++i) check_same(loaded[i], before[i]);
      }
      collection.add_all(later);
      after.push_back(recall_all());
    }
    for (std::size_t i = 0; i < 5; ++i) {
      if (variant.primitive.traits.exact) check_same(after[0][i], after[1][i]);
    }
  });
}

TEST_CASE("primitives/conformance: slots erased before a save are no items of what is loaded") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(22);
    TestCollection collection = make_collection(variant, metric, kDim);
    collection.add_all(uniform_vectors(rng, 1000, kDim));
    for (Slot slot = 0; slot < 500; ++slot) collection.erase(slot);  // and not reclaimed
    const auto saved = collection.save();
    REQUIRE(collection.restore(*saved).has_value());
    check_restored(collection, saved->items, rng);
  });
}

TEST_CASE("primitives/conformance: what changes between items and structure does no harm") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    for (const bool rows_first : {false, true}) {
      CAPTURE(rows_first);  // then the store does not have what was inserted afterwards
      Rng rng = make_rng(23);
      TestCollection collection = make_collection(variant, metric, kDim);
      fill(collection, rng, 1000);
      const Tuning tuning = tune(collection);
      const auto saved = collection.save_items();
      if (rows_first) collection.save_rows(*saved);
      const Vectors cues = uniform_vectors(rng, 5, kDim);
      const Recalled before = recall_among(collection, cues, saved->items, tuning);

      // Without deferred_reclaim an erased slot is free at once, but here it must not be reused.
      collection.add_all(uniform_vectors(rng, 400, kDim));
      for (Slot slot = 900; slot < 1200; ++slot) collection.erase(slot);
      collection.save_structure(*saved);
      if (!rows_first && !variant.primitive.traits.deferred_reclaim)
        continue;  // freed rows are not saved
      if (!rows_first) collection.save_rows(*saved);
      REQUIRE(collection.restore(*saved).has_value());
      check_recalls(collection, cues, before);
      check_restored(collection, saved->items, rng);
    }
  });
}

TEST_CASE("primitives/conformance: some of the items may be loaded") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(24);
    TestCollection collection = make_collection(variant, metric, kDim);
    fill(collection, rng, 1000);
    const Tuning tuning = tune(collection);
    const auto saved = collection.save();
    // A few; then most, so that what is left is sooner added up than what is gone taken away.
    for (const Slot stride : {50U, 1U}) {
      for (Slot slot = 0; slot < 800; slot += stride) saved->items.erase(slot);
      const Vectors cues = uniform_vectors(rng, 5, kDim);
      const Recalled before = recall_among(collection, cues, saved->items, tuning);
      REQUIRE(collection.restore(*saved).has_value());
      check_recalls(collection, cues, before);
    }
    check_restored(collection, saved->items, rng);
  });
}

TEST_CASE("primitives/conformance: a save beside inserts, erases and searches has all its items") {
  on_every_saving_primitive([](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.concurrent) return;
    Rng rng = make_rng(25);
    TestCollection collection = make_collection(variant, metric, kDim);
    fill(collection, rng, 1500);
    const auto saved = collection.save_items();
    collection.save_rows(*saved);

    std::mutex mutex;  // guards the store
    std::atomic<bool> stop{false};
    std::atomic<bool> sound{true};
    std::atomic<std::size_t> changes{0};
    const auto write =
        [&](std::size_t writer) {  // overwrites items: a new slot, then the old erased
          Rng own_rng = make_rng(300 + writer);
          Scratch scratch;
          for (auto item = static_cast<Slot>(writer); !stop && item < 1500; item += 2) {
            const Vectors vector = uniform_vectors(own_rng, 1, kDim);
            std::unique_lock lock(mutex);
            const Slot slot = collection.store().allocate().value();
            collection.store().write(slot, vector[0]);
            lock.unlock();
            if (!collection.index().insert({slot, mix(slot)}, scratch)) sound = false;
            collection.index().erase(item % 3 == 0 ? slot : item, scratch);
            ++changes;
          }
        };
    const auto search = [&] {
      Rng own_rng = make_rng(310);
      Scratch scratch;
      AlignedBuffer buffer;
      std::vector<Hit> hits;
      while (!stop) {
        const Vectors vector = uniform_vectors(own_rng, 1, kDim);
        const Query query = collection.kernel().prepare(vector[0], buffer);
        if (!collection.index().search(query, {.k = 10}, scratch, hits)) sound = false;
      }
    };
    std::thread threads[] = {std::thread(write, 0), std::thread(write, 1), std::thread(search)};
    for (const std::size_t enough : {50U, 300U, 600U}) {  // save in the midst of it
      while (changes < enough) std::this_thread::yield();
      saved->index.clear();
      collection.save_structure(*saved);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(sound);
    REQUIRE(collection.restore(*saved).has_value());
    check_restored(collection, saved->items, rng);
  });
}

TEST_CASE("primitives/conformance: slots that are not known are reclaimed without effect") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.deferred_reclaim) return;
    Rng rng = make_rng(26);
    TestCollection collection = make_collection(variant, metric, kDim);
    const std::vector<Slot> unknown{0, 700, 1'000'000, Slot{kMaxSlots - 1}};
    REQUIRE(collection.index().reclaim(unknown, collection.scratch()).has_value());
    collection.add_all(uniform_vectors(rng, 500, kDim));
    const Vectors query = uniform_vectors(rng, 1, kDim);
    const auto before = collection.search(query[0], 20);
    REQUIRE(collection.index()
                .reclaim(std::span(unknown).subspan(1), collection.scratch())
                .has_value());
    CHECK(collection.search(query[0], 20) == before);
    CHECK(collection.index().size() == 500);
  });
}

TEST_CASE("primitives/conformance: who saves no structure says so") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    if (variant.primitive.traits.saves_structure) return;
    TestCollection collection = make_collection(variant, metric, 4);
    const SlotSet items;
    Sections sections;
    MemorySectionWriter writer(sections);
    MemorySectionReader reader(sections);
    CHECK(collection.index().save(writer, items).error().code == ErrorCode::kUnsupported);
    CHECK(collection.index().load(reader, items).error().code == ErrorCode::kUnsupported);
  });
}

}  // namespace
}  // namespace engram::test::persistence_test
