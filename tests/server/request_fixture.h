// SPDX-License-Identifier: Apache-2.0
// A store without a host: the test turns it, and asks it by typed requests.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/engine/persistence.h"
#include "server/engine/store.h"
#include "server/requests/index_requests.h"
#include "server/requests/put.h"
#include "server/requests/responder.h"
#include "server/requests/search.h"

namespace engram::test {

using Found = std::vector<std::pair<std::string, float>>;

class TestLoop final : public StoreLoop {
 public:
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    wake_.notify_one();
  }
  void wait() override {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return woken_; });
    woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
};

/// What became of a request. An answer that borrows is kept as `Kept`.
template <class Kept>
struct Outcome {
  std::optional<Result<Kept>> answer = std::nullopt;
  int takes = 0;
  bool is_finished = false;
  Lsn lsn = 0;
};

/// Keeps the only answer in `outcome`, which outlives the request.
template <class Answer>
Responder<Answer> keep(Outcome<Answer>& outcome) {
  return {.take =
              [&outcome](const Result<Answer>& answer) {
                outcome.answer = answer;
                ++outcome.takes;
              },
          .finish =
              [&outcome](Lsn lsn) {
                CHECK_FALSE(outcome.is_finished);
                outcome.is_finished = true;
                outcome.lsn = lsn;
              }};
}

class RequestFixture {
 public:
  explicit RequestFixture(StoreOptions options = {.workers = 2})
      : store(std::move(*Store::open(std::move(options), loop))) {}

  void run_until(const std::function<bool()>& is_done) {
    while (!is_done()) {
      loop.wait();
      store->collect();
      if (store->persistence() != nullptr) store->persistence()->poll();
    }
  }

  template <class Kept>
  Result<Kept> finish(Outcome<Kept>& outcome) {
    run_until([&] { return outcome.is_finished; });
    CHECK(outcome.takes == 1);
    return *outcome.answer;
  }

  /// The answer to a request that has one.
  template <class Answer, class Request>
  Result<Answer> ask(Request&& request) {
    Outcome<Answer> outcome;
    start(*store, std::forward<Request>(request), keep(outcome));
    return finish(outcome);
  }

  IndexRef index(std::string_view name) { return std::move(*find_index(*store, name)); }

  void create(const NewIndexRequest& request) {
    REQUIRE(create_index(*store, request).has_value());
  }

  /// An index of `primitive` under its name, of two vectors whose mean is (2, 0).
  void create_pair(std::string_view primitive, std::string_view metric = "l2") {
    create({.name = primitive, .dim = 2, .metric = metric, .primitive = primitive});
    REQUIRE(put(primitive, {{"a", {0, 0}}, {"b", {4, 0}}}) == 2U);
  }

  std::size_t put(std::string_view name,
                  const std::vector<std::pair<std::string, std::vector<float>>>& items) {
    PutRequest request(index(name));
    for (const auto& [key, vector] : items) REQUIRE(request.add(key, vector).has_value());
    return ask<std::size_t>(request).value();
  }

  SearchRequest search_for(std::string_view name, const std::vector<std::vector<float>>& queries,
                           std::size_t k) {
    SearchRequest request = {.index = index(name), .k = k};
    for (const std::vector<float>& query : queries) {
      REQUIRE(request.queries.add(request.index, query).has_value());
    }
    return request;
  }

  /// What is found for each query, whatever the parts.
  Result<std::vector<Found>> search(SearchRequest request) {
    std::vector<Found> found(std::max<std::size_t>(query_count(request), 1));
    std::mutex mutex;
    Outcome<std::vector<Found>> outcome;
    start(*store, std::move(request),
          Responder<SearchAnswer>{.take =
                                      [&](const Result<SearchAnswer>& answer) {
                                        const std::lock_guard lock(mutex);
                                        if (!answer) {
                                          CHECK_FALSE(outcome.answer.has_value());
                                          outcome.answer = tl::unexpected(answer.error());
                                          return;
                                        }
                                        for (std::size_t i = 0; i < answer->neighbors.size(); ++i) {
                                          Found& mine = found[answer->first + i];
                                          CHECK(mine.empty());
                                          for (const Neighbor& neighbor : answer->neighbors[i]) {
                                            mine.emplace_back(neighbor.key, neighbor.distance);
                                          }
                                        }
                                      },
                                  .finish = keep(outcome).finish});
    run_until([&] { return outcome.is_finished; });
    return outcome.answer.value_or(std::move(found));
  }

  TestLoop loop;
  std::unique_ptr<Store> store;
};

}  // namespace engram::test
