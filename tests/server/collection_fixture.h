// SPDX-License-Identifier: Apache-2.0
// A collection without a server around it.
#pragma once

#include <doctest/doctest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "server/engine/collection.h"

namespace engram::test {

/// The event loop's part in miniature: hands out work and waits for completions on a condition.
class Loop {
 public:
  explicit Loop(std::size_t workers)
      : pool_(workers, [this] {
          const std::lock_guard lock(mutex_);
          woken_ = true;
          wake_.notify_one();
        }) {}

  WorkerPool& pool() { return pool_; }

  /// Handles completions until `is_done()`.
  template <class Condition>
  void run_until(Condition is_done) {
    while (!is_done()) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return woken_; });
        woken_ = false;
      }
      pool_.poll_completions();
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  WorkerPool pool_;
};

using Vector = std::vector<float>;

/// A collection and the blocking calls that tests are easier to read with.
class CollectionFixture {
 public:
  explicit CollectionFixture(const Primitive& primitive, std::size_t dim = 8,
                             std::size_t workers = 4, Decay decay = {}, Metric metric = Metric::kL2)
      : loop(workers) {
    auto created = Collection::create(
        {dim, metric, &primitive, Options(primitive.create_options), "auto", decay},
        {.workers = loop.pool(), .id = 1, .hash_seed = 7});
    REQUIRE(created.has_value());
    collection = std::move(*created);
  }

  void start_put(const std::string& key, const Vector& vector, const StrengthGain& gain = {}) {
    Collection::PutBatch batch(collection);
    REQUIRE(batch.add(key, vector).has_value());
    ++running;
    batch.commit(
        [this](const Result<std::size_t>& added) {
          CHECK(added.has_value());
          last_added = added.value_or(0);
          --running;
        },
        gain);
  }

  void start_erase(const std::string& key) {
    ++running;
    collection->erase(key, [this](bool erased) {
      last_erased = erased;
      --running;
    });
  }

  void start_tune(Tuning tuning) {
    ++running;
    REQUIRE(collection->tune(std::move(tuning), [this] { --running; }).has_value());
  }

  void finish() {
    loop.run_until([this] { return running == 0; });
  }

  std::size_t put(const std::string& key, const Vector& vector) {
    start_put(key, vector);
    finish();
    return last_added;
  }

  bool erase(const std::string& key) {
    start_erase(key);
    finish();
    return last_erased;
  }

  std::vector<std::pair<std::string, float>> search(const Vector& query, std::size_t k,
                                                    std::int64_t at_ms = 0) {
    std::vector<std::pair<std::string, float>> found;
    start_search(query, k, &found, at_ms);
    finish();
    return found;
  }

  void start_search(const Vector& query, std::size_t k,
                    std::vector<std::pair<std::string, float>>* found, std::int64_t at_ms = 0) {
    ++running;
    collection->read(
        [query, k, found, at_ms](const ReadView& view, Scratch& scratch) {
          const auto replies =
              view.search(query, {.k = k, .ef = 400, .options = nullptr}, at_ms, scratch);
          if (!replies) return;
          for (const Neighbor& neighbor : replies->front()) {
            found->emplace_back(std::string(neighbor.key), neighbor.distance);
          }
        },
        [this] { --running; });
  }

  Loop loop;
  std::shared_ptr<Collection> collection;
  int running = 0;
  std::size_t last_added = 0;
  bool last_erased = false;
};

}  // namespace engram::test
