// SPDX-License-Identifier: Apache-2.0
// What traits say of threads. Run these under ThreadSanitizer.
#include <atomic>
#include <barrier>
#include <cmath>
#include <mutex>
#include <thread>

#include "core/bound.h"
#include "core/hash.h"
#include "tests/primitives/conformance/conformance.h"

namespace engram::test::concurrency_test {
namespace {

constexpr std::size_t kDim = 8;
constexpr std::size_t kPhases = 4;
constexpr std::size_t kWriters = 2;
constexpr std::size_t kInserts = 150;  // by each writer in each phase
constexpr std::size_t kErases = 60;
constexpr std::size_t kRecallEvery = 10;

/// Writers, searchers and reclaim() at once on one index. What is erased in one phase is reclaimed
/// during the next, when every operation that began before has ended, and reused in the one after.
class Storm {
 public:
  Storm(const Variant& variant, Metric metric)
      : deferred_(variant.primitive.traits.deferred_reclaim),
        collection_(make_collection(variant, metric, kDim)) {}

  void run() {
    std::vector<std::thread> threads;
    for (std::size_t writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([this, writer] { write(writer); });
    }
    threads.emplace_back([this] { search(); });
    threads.emplace_back([this] { maintain(); });
    for (std::thread& thread : threads) thread.join();
  }

  bool sound() const { return sound_; }
  Index& index() { return collection_.index(); }

  /// Every slot that a writer inserted and did not erase, with its vector.
  std::vector<std::pair<Slot, std::vector<float>>> held() const {
    std::vector<std::pair<Slot, std::vector<float>>> all;
    for (const auto& own : held_) all.insert(all.end(), own.begin(), own.end());
    return all;
  }

  std::vector<Hit> search(std::span<const float> query, SearchParams params) {
    return collection_.search(query, params);
  }

  /// Whether a search for its vector answers the item, or k as near: coarse codes make many equal.
  bool finds(Slot slot, std::span<const float> vector, std::size_t k) {
    const std::vector<Hit> hits = search(vector, {.k = k});
    if (hits.empty()) return false;
    const Bound bound(collection_.kernel(), collection_.prepare(vector), collection_.store());
    return hits.back().score == bound.score(slot) ||
           std::any_of(hits.begin(), hits.end(), [&](const Hit& hit) { return hit.slot == slot; });
  }

 private:
  void write(std::size_t writer) {
    Rng rng = make_rng(100 + writer);
    Scratch scratch;
    auto& own = held_[writer];
    for (std::size_t phase = 0; phase < kPhases; ++phase) {
      for (std::size_t i = 0; i < kInserts; ++i) {
        const Vectors vector = uniform_vectors(rng, 1, kDim);
        const Slot slot = place(vector[0]);
        if (!index().insert({slot, mix(slot)}, scratch)) sound_ = false;
        own.emplace_back(slot, vector.values);
        if (i < kErases) erase_one(own, rng, scratch);
      }
      phase_end_.arrive_and_wait();
    }
  }

  Slot place(std::span<const float> vector) {
    const std::lock_guard lock(mutex_);
    const Slot slot = collection_.store().allocate().value();
    collection_.store().write(slot, vector);
    return slot;
  }

  void erase_one(std::vector<std::pair<Slot, std::vector<float>>>& own, Rng& rng,
                 Scratch& scratch) {
    std::swap(own[rng() % own.size()], own.back());
    const Slot slot = own.back().first;
    own.pop_back();
    index().erase(slot, scratch);
    const std::lock_guard lock(mutex_);
    erased_.push_back(slot);
  }

  void search() {
    Rng rng = make_rng(200);
    Scratch scratch;
    AlignedBuffer buffer;
    std::vector<Hit> hits;
    for (std::size_t phase = 0; phase < kPhases; ++phase) {
      for (std::size_t i = 0; i < kInserts; ++i) {
        const Vectors vector = uniform_vectors(rng, 1, kDim);
        const Query query = collection_.kernel().prepare(vector[0], buffer);
        const Status searched = index().search(query, {.k = 10}, scratch, hits);
        const bool sound =
            searched && hits.size() <= 10 && std::is_sorted(hits.begin(), hits.end());
        if (!sound) sound_ = false;
        if (i % kRecallEvery == 0) recall(vector[0], scratch);
      }
      phase_end_.arrive_and_wait();
    }
  }

  /// If it can. What was never tuned may know no temperature.
  void recall(std::span<const float> cue, Scratch& scratch) {
    const Recaller* const recaller = index().recaller();
    if (recaller == nullptr) return;
    Recall recall;
    const Status recalled = recaller->recall({.vector = cue}, {}, scratch, recall);
    const bool sound = recalled ? recall.state.size() == kDim &&
                                      std::all_of(recall.state.begin(), recall.state.end(),
                                                  [](float value) { return std::isfinite(value); })
                                : recalled.error().code == ErrorCode::kInvalidArgument;
    if (!sound) sound_ = false;
  }

  void maintain() {
    Scratch scratch;
    std::vector<Slot> reclaimed;
    for (std::size_t phase = 0; phase < kPhases; ++phase) {
      std::vector<Slot> erased;
      {
        const std::lock_guard lock(mutex_);
        for (const Slot slot : reclaimed) collection_.store().release(slot);
        std::swap(erased, erased_before_);
      }
      if (deferred_ && !index().reclaim(erased, scratch)) sound_ = false;
      reclaimed = std::move(erased);
      phase_end_.arrive_and_wait();
    }
  }

  /// Runs between phases, while every thread waits.
  void next_phase() noexcept {
    erased_before_.insert(erased_before_.end(), erased_.begin(), erased_.end());
    erased_.clear();
  }

  struct NextPhase {
    Storm* storm;
    void operator()() noexcept { storm->next_phase(); }
  };

  const bool deferred_;
  TestCollection collection_;
  std::mutex mutex_;  // guards the store's allocation and erased_
  std::vector<Slot> erased_;
  std::vector<Slot> erased_before_;  // in the last phase
  std::vector<std::pair<Slot, std::vector<float>>> held_[kWriters];
  std::atomic<bool> sound_{true};
  std::barrier<NextPhase> phase_end_{kWriters + 2, NextPhase{this}};
};

TEST_CASE("primitives/conformance: concurrent ones take inserts, erases and searches at once") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    if (!variant.primitive.traits.concurrent) return;
    Storm storm(variant, metric);
    storm.run();
    CHECK(storm.sound());
    const auto held = storm.held();
    REQUIRE(storm.index().size() == held.size());
    // A k of everything may be answered by a scan; a small k and ef must use the structure.
    CHECK(storm.search(held[0].second, {.k = held.size()}).size() == held.size());
    CHECK(storm.search(held[0].second, {.k = 20, .ef = 20}).size() == 20);

    std::size_t found = 0;
    for (const auto& [slot, vector] : held) {
      // Under dot a vector need not be its own nearest: it is enough that it is reached.
      const std::size_t k = metric == Metric::kDot ? held.size() / 2 : 10;
      found += storm.finds(slot, vector, k) ? 1 : 0;
    }
    const double share = static_cast<double>(found) / static_cast<double>(held.size());
    const bool exact = variant.primitive.traits.exact && metric != Metric::kDot;
    CHECK(share >= (exact ? 1 : metric == Metric::kDot ? 0.75 : 0.98));
  });
}

/// Whether a memory that may hold nothing at any moment gives what it can or says why not.
bool recalls_soundly(const Recaller& recaller, const std::vector<float>& cue, Scratch& scratch) {
  const auto is_sound = [](const auto& outcome) {
    return outcome || outcome.error().code == ErrorCode::kInvalidArgument ||
           outcome.error().code == ErrorCode::kUnsupported;
  };
  const std::vector<CoordinateRange> visible = {{0, kDim / 2}};
  Recall recall;
  bool sound =
      is_sound(recaller.recall({.vector = cue}, {}, scratch, recall)) &&
      is_sound(recaller.recall({.vector = cue, .visible = &visible}, {}, scratch, recall)) &&
      is_sound(recaller.energy(cue, {}, scratch));
  for (const bool tunes : {true, false}) {
    const auto survey = recaller.survey({.sample = 2, .tunes = tunes});
    sound = sound && is_sound(survey);
    while (survey && (*survey)->step(scratch)) {
    }
    sound = sound && (!survey || is_sound((*survey)->tuning()));
  }
  return sound;
}

TEST_CASE("primitives/conformance: recalls and surveys stand the coming and going of all items") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    TestCollection collection = make_collection(variant, metric, kDim);
    const Recaller* const recaller = collection.index().recaller();
    if (!variant.primitive.traits.concurrent || recaller == nullptr) return;
    constexpr std::size_t kItems = 600;
    Rng rng = make_rng(300);
    const Vectors vectors = uniform_vectors(rng, kItems + 1, kDim);
    std::vector<Slot> slots;
    for (std::size_t item = 0; item < kItems; ++item) {
      slots.push_back(collection.store().allocate().value());
      collection.store().write(slots.back(), vectors[item]);
    }
    const std::vector<float> cue(vectors[kItems].begin(), vectors[kItems].end());
    std::atomic<bool> ended{false};
    std::atomic<bool> sound{true};
    std::thread reader([&] {
      Scratch scratch;
      while (!ended) {
        if (!recalls_soundly(*recaller, cue, scratch)) sound = false;
      }
    });
    Scratch scratch;
    for (std::size_t item = 0; item < kItems; item += 2) {
      for (const Slot slot : {slots[item], slots[item + 1]}) {
        if (!collection.index().insert({slot, mix(slot)}, scratch)) sound = false;
      }
      for (const Slot slot : {slots[item], slots[item + 1]}) {
        collection.index().erase(slot, scratch);
      }
    }
    ended = true;
    reader.join();
    CHECK(sound);
  });
}

TEST_CASE("primitives/conformance: searches run beside each other, whatever the primitive") {
  on_every_primitive([](const Variant& variant, Metric metric) {
    Rng rng = make_rng(31);
    TestCollection collection = make_collection(variant, metric, kDim);
    collection.add_all(uniform_vectors(rng, 800, kDim));
    const Vectors queries = uniform_vectors(rng, 100, kDim);
    std::vector<std::vector<Hit>> expected;
    for (std::size_t i = 0; i < 100; ++i) expected.push_back(collection.search(queries[i], 10));

    std::atomic<std::size_t> different{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&] {
        Scratch scratch;
        AlignedBuffer buffer;
        std::vector<Hit> hits;
        for (std::size_t i = 0; i < 100; ++i) {
          const Query query = collection.kernel().prepare(queries[i], buffer);
          const Status searched = collection.index().search(query, {.k = 10}, scratch, hits);
          if (!searched || hits != expected[i]) ++different;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(different == 0);
  });
}

}  // namespace
}  // namespace engram::test::concurrency_test
