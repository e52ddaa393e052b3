// SPDX-License-Identifier: Apache-2.0
// The layouts that an index goes through while it grows, and what nodes are told.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/durability/change.h"
#include "server/hosts/router/growth_commands.h"
#include "server/hosts/router/growth_steps.h"
#include "server/hosts/router/layout.h"
#include "server/hosts/router/slots.h"
#include "server/hosts/router/timers.h"
#include "tests/support/seed.h"

namespace engram::router::router_test {
namespace {

using State = Layout::State;

Layout index_of(std::size_t partitions, const std::string& made = "3,METRIC,l2,PRIMITIVE,flat") {
  Layout layout;
  layout.index = "i";
  layout.dim = 3;
  layout.metric = "l2";
  layout.primitive = "flat";
  layout.partitions = partitions;
  layout.epoch = 1000;
  layout.made = made;
  layout.place();
  return layout;
}

/// As another router would read it.
Layout read_again(const Layout& layout) {
  const auto parsed = Layout::parse(layout.index, layout.text());
  REQUIRE(parsed);
  CHECK(parsed->text() == layout.text());
  CHECK(parsed->keys == layout.keys);
  CHECK(parsed->slots == layout.slots);
  CHECK(parsed->placements() == layout.placements());
  return *parsed;
}

/// A cluster that has nothing but keys, and routers that end at any moment.
class Model {
 public:
  Model(Layout layout, std::uint64_t seed) : layout_(std::move(layout)), rng_(seed) {
    epochs_ = {layout_.epoch};
    keys_.insert(layout_.keys.begin(), layout_.keys.end());
  }

  /// One step of the router that is at it. Another may go on with it.
  void step() {
    if (rng_() % 6 == 0) aim_.clear();
    layout_ = read_again(layout_);
    switch (layout_.state) {
      case State::kReady:
        return exchange(opening_of(layout_, 0));
      case State::kOpening:
        if (rename()) exchange(growing_of(layout_));
        return;
      case State::kGrowing:
        if (layout_.into.empty()) return exchange(aimed_of(layout_, 0));
        if (layout_.into != aim_) return exchange(opening_of(layout_, 0));
        if (!rename() || !remove()) return;
        for (const std::string& key : layout_.at(aim_.front()).keys) keys_.insert(key);
        if (rng_() % 4 == 0) return;
        return exchange(closing_of(layout_, 0));
      case State::kClosing:
        if (layout_.into != aim_) return exchange(opening_of(layout_, 0));
        if (rename()) exchange(clearing_of(layout_));
        return;
      case State::kClearing:
        if (remove()) exchange(ready_of(layout_));
        return;
      case State::kMaking:
      case State::kDropping:
        FAIL("an index that grows is in no such state");
    }
  }

  void give_up() { exchange(given_up_of(layout_)); }
  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] const std::set<std::string>& keys() const { return keys_; }

 private:
  void exchange(const Layout& next) {
    if (next.epoch != layout_.epoch && next.state != State::kClearing) see(next.epoch);
    if (next.state == State::kGrowing && !next.into.empty() && next.into != layout_.into) {
      aim_ = next.into;
      see(aim_.front().epoch);
    }
    layout_ = next;
  }

  /// No epoch comes twice.
  void see(std::uint64_t epoch) {
    CHECK(epoch > *epochs_.rbegin());
    epochs_.insert(epoch);
  }

  /// Until the end, or up to any partition: false.
  bool rename() {
    const bool ends = rng_() % 4 == 0;
    const std::size_t end = ends ? rng_() % layout_.partitions : layout_.partitions;
    for (std::size_t p = 0; p < end; ++p) {
      for (const Placement& former : layout_.from) {
        const std::string old = layout_.at(former).keys[p];
        if (keys_.contains(layout_.keys[p]) || keys_.erase(old) == 0) continue;
        keys_.insert(layout_.keys[p]);
      }
      CHECK(keys_.contains(layout_.keys[p]));
    }
    return !ends;
  }

  /// Likewise.
  bool remove() {
    std::vector<std::string> keys;
    for (const Placement& placement : layout_.away) {
      const Layout placed = layout_.at(placement);
      keys.insert(keys.end(), placed.keys.begin(), placed.keys.end());
    }
    const bool ends = !keys.empty() && rng_() % 4 == 0;
    if (ends) keys.resize(rng_() % keys.size());
    for (const std::string& key : keys) keys_.erase(key);
    return !ends;
  }

  Layout layout_;
  std::mt19937_64 rng_;
  std::vector<Placement> aim_;  // of the router that is at it
  std::set<std::uint64_t> epochs_;
  std::set<std::string> keys_;
};

std::set<std::string> as_set(const std::vector<std::string>& keys) {
  return {keys.begin(), keys.end()};
}

TEST_CASE("router: growth comes to its end and leaves nothing, wherever routers end") {
  const std::uint64_t seed = test::run_seed();
  for (std::uint64_t run = 0; run < 60; ++run) {
    const std::size_t partitions = 1 + run % 5;
    Model cluster(index_of(partitions), seed + run);
    std::size_t steps = 0;
    do {
      cluster.step();
      // All that there is can be found by the layout: VDROP removes it.
      std::set<std::string> known;
      for (const Placement& placement : cluster.layout().placements()) {
        known.merge(as_set(cluster.layout().at(placement).keys));
      }
      CHECK(
          std::includes(known.begin(), known.end(), cluster.keys().begin(), cluster.keys().end()));
      REQUIRE(++steps < 1000);
    } while (cluster.layout().state != State::kReady);
    CHECK(cluster.layout().partitions == 2 * partitions);
    CHECK(cluster.layout().from.empty());
    CHECK(cluster.keys() == as_set(cluster.layout().keys));
  }
}

TEST_CASE("router: growth that is given up leaves the index as it was") {
  const std::uint64_t seed = test::run_seed();
  for (std::uint64_t run = 0; run < 30; ++run) {
    Model cluster(index_of(2), seed + run);
    while (cluster.layout().state != State::kGrowing || cluster.layout().into.empty())
      cluster.step();
    cluster.give_up();
    while (cluster.layout().state != State::kReady) cluster.step();
    CHECK(cluster.layout().partitions == 2);
    CHECK(cluster.keys() == as_set(cluster.layout().keys));
  }
}

TEST_CASE("router: a layout is used in some states, and waited for in others") {
  Layout layout = index_of(2);
  const auto uses = [&layout] { return layout.is_usable() && !layout.is_between(); };
  const auto waits = [&layout] { return layout.is_between() && !layout.is_usable(); };
  CHECK(uses());
  layout = opening_of(layout, 5000);
  CHECK(waits());
  CHECK(layout.epoch == 5000);
  CHECK(layout.from == std::vector<Placement>{{2, 1000}});
  layout = growing_of(layout);
  CHECK(uses());
  layout = aimed_of(layout, 0);
  CHECK(layout.into == std::vector<Placement>{{4, 5001}});
  layout = opening_of(layout, 0);  // by another router
  CHECK(waits());
  CHECK(layout.epoch == 5002);
  CHECK(layout.away == std::vector<Placement>{{4, 5001}});
  layout = aimed_of(growing_of(layout), 0);
  CHECK(layout.into == std::vector<Placement>{{4, 5003}});
  layout = closing_of(layout, 0);
  CHECK(waits());
  CHECK(layout.epoch == 5004);
  layout = clearing_of(layout);
  CHECK(uses());
  CHECK(layout.placement() == Placement{4, 5003});
  layout = ready_of(layout);
  CHECK(layout.placements() == std::vector<Placement>{{4, 5003}});
  CHECK(layout.is_grown);
}

TEST_CASE("router: what is no layout is refused") {
  const std::string sound = aimed_of(growing_of(opening_of(index_of(2), 0)), 0).text();
  REQUIRE(Layout::parse("i", sound));
  const auto changed = [&sound](const std::string& old, const std::string& other) {
    std::string text = sound;
    const std::size_t at = text.find(old);
    REQUIRE(at != std::string::npos);
    return text.replace(at, old.size(), other);
  };
  for (const std::string& text :
       {changed("state growing", "state sleeping"), changed("into 4:", "into 4"),
        changed("into 4:", "into 0:"), changed("into 4:", "into 4000:"),
        changed("into 4:", "into 4:7,4:"), changed("from 2:", "from x:"),
        changed("partitions 2", "partitions 0"), changed("epoch 1", "epoch -1"),
        index_of(2).text_in(State::kOpening), index_of(2).text_in(State::kClosing),
        std::string("state closing"), std::string()}) {
    CAPTURE(text);
    const auto parsed = Layout::parse("i", text);
    CHECK(!parsed);
  }
  std::mt19937_64 rng = test::make_rng(67);
  for (int i = 0; i < 2000; ++i) {
    std::string text = sound;
    text[rng() % text.size()] = static_cast<char>(rng() % 256);
    if (const auto parsed = Layout::parse("i", text))
      CHECK(parsed->keys.size() == parsed->partitions);
  }
}

TEST_CASE("router: what cannot grow is refused with a sentence") {
  const auto why = [](const Layout& layout, std::size_t partitions) {
    const Status checked = check_growth(layout, partitions);
    return checked ? std::string() : checked.error().message;
  };
  const auto says = [](const std::string& sentence, const std::string& words) {
    return sentence.find(words) != std::string::npos;
  };
  CHECK(why(index_of(3), 6).empty());
  CHECK(says(why(index_of(3), 3), "twice as many at a time, got 3"));
  CHECK(says(why(index_of(3), 12), "has 3 partitions"));
  CHECK(says(why(index_of(1024), 2048), "at most 1024"));
  CHECK(says(why(index_of(2, ""), 4), "kept no record"));
  CHECK(says(why(index_of(1, "3,DECAY,exp,1000"), 2), "DECAY"));
  CHECK(why(index_of(1, "3,DECAY,none"), 2).empty());
  CHECK(says(why(index_of(1, "3,PRIMITIVE,flat,QUANT,sq8"), 2), "codes without vectors"));
  CHECK(why(index_of(1, "3,PRIMITIVE,flat,QUANT,f32"), 2).empty());
  Layout graph = index_of(1, "3,QUANT,sq8");
  graph.primitive = "hnsw";
  CHECK(why(graph, 2).empty());
  graph.made += ",RERANK,none";
  CHECK(says(why(graph, 2), "codes without vectors"));
  Layout done = index_of(4);
  done.state = State::kClearing;
  CHECK(why(done, 4).empty());
}

TEST_CASE("router: the halves of a partition are where it was, and as many further on") {
  std::mt19937_64 rng = test::make_rng(67);
  for (int i = 0; i < 2000; ++i) {
    const std::string key = std::to_string(rng());
    const std::size_t partitions = 1 + rng() % 512;
    const std::size_t before = partition_of(key, partitions);
    const std::size_t after = partition_of(key, 2 * partitions);
    CHECK((after == before || after == before + partitions));
  }
}

TEST_CASE("router: items are read as nodes tell them") {
  const auto text = [](const std::string& value) {
    return Reply{.kind = Reply::Kind::kText, .text = value};
  };
  const Reply sound = {.kind = Reply::Kind::kArray,
                       .items = {text("a"), text("1234"), text("{}"), text("b"), {}, {}}};
  const auto items = read_items(sound);
  REQUIRE(items);
  REQUIRE(items->size() == 2);
  CHECK(
      (items->at(0).is_there && items->at(0).vector == "1234" && items->at(0).attributes == "{}"));
  CHECK((!items->at(1).is_there && items->at(1).key == "b"));
  CHECK(!read_items(text("a")));
  CHECK(!read_items({.kind = Reply::Kind::kArray, .items = {text("a"), text("b")}}));
}

TEST_CASE("router: vectors under cosine are moved as they are if their length is 1") {
  const auto item = [](std::vector<float> vector) {
    return ItemCopy{.key = "a", .is_there = true, .vector = std::string(packed(vector))};
  };
  CHECK(is_exact(item({0.6F, 0.8F}), "cosine"));
  CHECK(is_exact(item({0, 0}), "cosine"));
  CHECK(is_exact(item({3, 4}), "l2"));
  CHECK(!is_exact(item({3, 4}), "cosine"));
  CHECK(is_exact({.key = "a"}, "cosine"));
}

TEST_CASE("router: how far growth is is read from whatever says so") {
  const GrowthProgress told = {.holder = 12, .copied = 3, .items = 4};
  CHECK(told.text() == "12 3 4");
  CHECK(GrowthProgress::parse(told.text()).items == 4);
  CHECK(GrowthProgress::parse("").holder == 0);
  CHECK(GrowthProgress::parse("12 x").copied == 0);
}

TEST_CASE("router: what is due is done in its order, and what it adds later") {
  Timers timers;
  CHECK(!timers.next_ms());
  std::string done;
  timers.add(20, [&done] { done += "c"; });
  timers.add(10, [&] {
    done += "a";
    timers.add(10, [&done] { done += "d"; });
  });
  timers.add(10, [&done] { done += "b"; });
  CHECK(timers.next_ms() == 10);
  timers.run(9);
  CHECK(done.empty());
  timers.run(10);
  CHECK(done == "ab");
  timers.run(20);
  CHECK(done == "abdc");
  CHECK(!timers.next_ms());
}

}  // namespace
}  // namespace engram::router::router_test
