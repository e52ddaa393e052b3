// SPDX-License-Identifier: Apache-2.0
// Consolidation in the engine: the same on any number of threads, told before as it is done, and
// undone where the index cannot take what was to be.
#include <doctest/doctest.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/exact_scan.h"
#include "server/requests/consolidate.h"
#include "tests/server/collection_fixture.h"
#include "tests/server/request_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/vectors.h"

namespace engram::consolidation_test {
namespace {

using test::Rng;

/// What a group is told to be, in words of its own.
struct Told {
  std::string key;
  double strength;
  double radius;
  double variance;
  std::vector<std::string> members;

  friend bool operator==(const Told&, const Told&) = default;
};

struct Kept {
  std::vector<Told> groups;
  std::size_t dropped = 0;

  friend bool operator==(const Kept&, const Kept&) = default;
};

Result<Kept> consolidate(test::RequestFixture& fixture, ConsolidateRequest request) {
  test::Outcome<Kept> outcome;
  start(*fixture.store, std::move(request),
        Responder<ConsolidateAnswer>{.take =
                                         [&](const Result<ConsolidateAnswer>& answer) {
                                           ++outcome.takes;
                                           if (!answer) {
                                             outcome.answer = tl::unexpected(answer.error());
                                             return;
                                           }
                                           Kept kept = {{}, answer->dropped};
                                           for (const ConsolidatedGroup& group : answer->groups) {
                                             kept.groups.push_back(
                                                 {std::string(group.key),
                                                  group.strength,
                                                  group.radius,
                                                  group.variance,
                                                  {group.members.begin(), group.members.end()}});
                                           }
                                           outcome.answer = std::move(kept);
                                         },
                                     .finish = [&](Lsn) { outcome.is_finished = true; }});
  return fixture.finish(outcome);
}

TEST_CASE("engine/consolidation: told before as it is done, the same on any number of threads") {
  constexpr std::size_t kItems = 300;
  Rng rng = test::make_rng(120);
  const test::Vectors vectors = test::clustered_vectors(rng, kItems, 12, 40);
  for (const std::string_view primitive : {"flat", "hnsw"}) {
    for (const GroupMethod method :
         {GroupMethod::kLeader, GroupMethod::kMeanShift, GroupMethod::kKMeans}) {
      for (const Keep keep : {Keep::kCentroid, Keep::kMedoid}) {
        std::map<std::size_t, Kept> done;
        std::map<std::size_t, test::Found> left;
        for (const std::size_t workers : {1U, 2U, 4U}) {
          test::RequestFixture fixture({.workers = workers});
          fixture.create({.name = "i", .dim = 12, .metric = "l2", .primitive = primitive});
          for (std::size_t i = 0; i < kItems; ++i) {
            const auto vector = vectors[i];
            fixture.put("i", {{"k" + std::to_string(i), {vector.begin(), vector.end()}}});
          }
          ConsolidateRequest request = {
              .index = fixture.index("i"),
              .params = {.grouping = {.method = method, .radius = 0.7}, .keep = keep}};
          request.is_dry = true;
          const auto foretold = consolidate(fixture, request);
          REQUIRE(foretold.has_value());
          CHECK(request.index.collection->size() == kItems);
          request.is_dry = false;
          const auto run = consolidate(fixture, request);
          REQUIRE(run.has_value());
          CHECK(*run == *foretold);
          CHECK(run->groups.size() > 5);
          std::size_t gone = 0;
          for (const Told& group : run->groups) {
            gone += group.members.size() - 1;
            CHECK(group.strength == static_cast<double>(group.members.size()));
          }
          CHECK(request.index.collection->size() == kItems - gone);
          const auto found =
              fixture.search(fixture.search_for("i", {std::vector<float>(12)}, kItems));
          done[workers] = *run;
          left[workers] = found->front();
        }
        CHECK(done[1] == done[2]);
        CHECK(done[1] == done[4]);
        CHECK(left[1] == left[2]);
        CHECK(left[1] == left[4]);
      }
    }
  }
}

TEST_CASE("engine/consolidation: one at a time") {
  test::RequestFixture fixture;
  fixture.create_pair("flat");
  const IndexRef index = fixture.index("flat");
  auto first = index.collection->consolidate({});
  REQUIRE(first.has_value());
  const auto second = index.collection->consolidate({});
  REQUIRE_FALSE(second.has_value());
  CHECK(second.error().code == ErrorCode::kAlreadyExists);
  (*first)->end();
  CHECK(index.collection->consolidation() == nullptr);
  CHECK(consolidate(fixture, {.index = index}).has_value());
}

/// Takes no more items when it is told so.
std::atomic<bool> is_full{false};

class Filling final : public Index {
 public:
  explicit Filling(const IndexContext& context) : context_(context) {}

  Status insert(const Insertion& item, Scratch&) override {
    if (is_full) return fail(ErrorCode::kResourceExhausted, "it is full");
    held_.add(item.slot);
    return {};
  }
  void erase(Slot slot, Scratch&) override { held_.erase(slot); }
  Status search(Query query, const SearchParams& params, Scratch&,
                std::vector<Hit>& hits) const override {
    const Bound bound(context_.kernel, query, context_.store);
    scan_nearest(bound, held_, params, hits);
    return {};
  }
  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override { return 0; }

 private:
  const IndexContext context_;
  SlotSet held_;
};

Result<std::unique_ptr<Index>> make_filling(const IndexContext& context, const Options&) {
  return std::make_unique<Filling>(context);
}

/// The content that a replay would end with.
class Ledger final : public ChangeSink {
 public:
  struct Item {
    std::string vector;
    double log_strength = 0;
    friend bool operator==(const Item&, const Item&) = default;
  };

  void record(const Change& change) override {
    if (const auto* const put = std::get_if<PutVector>(&change)) {
      items[std::string(put->key)] = {std::string(put->vector)};
    } else if (const auto* const erase = std::get_if<EraseVector>(&change)) {
      items.erase(std::string(erase->key));
    } else if (const auto* const strength = std::get_if<SetStrength>(&change)) {
      items.at(std::string(strength->key)).log_strength = strength->trace.amount;
    }
  }
  GracePeriod::Ticket begin() override { return grace_.enter(); }
  void end(GracePeriod::Ticket ticket) override { grace_.leave(ticket); }

  std::map<std::string, Item> items;

 private:
  GracePeriod grace_;
};

TEST_CASE("engine/consolidation: a mean that the index cannot take leaves the group as it was") {
  const Primitive primitive = {.name = "filling",
                               .summary = "takes so many",
                               .source = "none",
                               .traits = {.exact = true, .concurrent = true, .takes_bias = true},
                               .create = make_filling};
  Ledger ledger;
  {
    test::CollectionFixture fixture(primitive, 2, 2, {.policy = DecayPolicy::kStatic});
    Collection& collection = *fixture.collection;
    collection.set_change_sink(&ledger);
    fixture.start_put("a", {1, 0}, {.gain = 3});
    fixture.start_put("b", {2, 0}, {.gain = 2});
    fixture.start_put("c", {3, 0}, {.gain = 1});
    fixture.finish();
    const auto items = ledger.items;
    const std::vector<float> mean = {5.0F / 3, 0};
    const Merge merge = {
        .key = "a", .vector = mean, .others = {"b", "c"}, .trace = {.amount = std::log(6.0)}};
    const auto try_merge = [&] {
      Status outcome = fail(ErrorCode::kIo, "nothing came of it");
      ++fixture.running;
      REQUIRE(collection.merge(merge, [&](const Status& status) {
        outcome = status;
        --fixture.running;
      }));
      fixture.finish();
      return outcome;
    };
    is_full = true;
    CHECK_FALSE(try_merge().has_value());
    is_full = false;
    CHECK(collection.size() == 3);
    CHECK(fixture.search({0, 0}, 9).size() == 3);
    CHECK(ledger.items == items);
    for (const auto& [key, item] : items) {
      CHECK(collection.log_strength(key, 0) == item.log_strength);
    }
    // As if nothing had been, it may be tried again.
    CHECK(try_merge().has_value());
    CHECK(collection.size() == 1);
    CHECK(collection.get("a") == mean);
    CHECK(*collection.log_strength("a", 0) == doctest::Approx(std::log(6.0)));
    CHECK(ledger.items.size() == 1);
    CHECK(ledger.items.at("a").log_strength == *collection.log_strength("a", 0));
    collection.set_change_sink(nullptr);
  }
}

}  // namespace
}  // namespace engram::consolidation_test
