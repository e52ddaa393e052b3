// SPDX-License-Identifier: Apache-2.0
// What a router computes by itself: slots, the map of a cluster, replies in pieces, and the merge.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/text.h"
#include "server/hosts/router/hedges.h"
#include "server/hosts/router/partitions.h"
#include "server/hosts/router/recall_parts.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slot_map.h"
#include "server/hosts/router/slots.h"
#include "server/resp/reply.h"
#include "tests/support/seed.h"

namespace engram::router::router_test {
namespace {

std::vector<int> slots_of_partitions(std::size_t partitions) {
  std::vector<int> slots;
  for (std::size_t p = 0; p < partitions; ++p)
    slots.push_back(slot_of(partition_tag(p, partitions)));
  return slots;
}

/// Reads what may arrive in several replies, in pieces of random length.
std::vector<Reply> read_in_pieces(const std::string& bytes, std::mt19937_64& rng) {
  ReplyScanner scanner;
  std::vector<Reply> replies;
  std::string pending;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = std::min<std::size_t>(1 + rng() % 7, bytes.size() - at);
    pending.append(bytes, at, size);
    at += size;
    while (scanner.scan(pending) == ReplyScanner::Outcome::kReply) {
      replies.push_back(read_reply(std::string_view(pending).substr(0, scanner.size())));
      pending.erase(0, scanner.size());
      if (pending.empty()) break;
    }
  }
  CHECK(pending.empty());
  return replies;
}

Reply parsed(const std::string& bytes) {
  ReplyScanner scanner;
  REQUIRE(scanner.scan(bytes) == ReplyScanner::Outcome::kReply);
  REQUIRE(scanner.size() == bytes.size());
  return read_reply(bytes);
}

Reply text_of(const std::string& text) {
  return {.kind = Reply::Kind::kText, .text = text};
}

/// What the node at that address knows where CLUSTER SLOTS has no other addresses than CLUSTER
/// NODES, whose lines are `nodes`.
SlotMap told_by(const std::string& address, const std::vector<std::string>& nodes) {
  std::string text;
  for (const std::string& node : nodes) text += node + "\n";
  const auto map = SlotMap::parse(text_of(text), parsed("*0\r\n"), address);
  REQUIRE(map);
  return *map;
}

std::string node_line(const std::string& address, const std::string& flags, int epoch,
                      const std::string& slots) {
  return "id-" + address + " " + address + "@1 " + flags + " - 0 0 " + std::to_string(epoch) +
         " connected" + (slots.empty() ? "" : " " + slots);
}

Reply rows_of(const std::vector<double>& distances) {
  Reply rows = {.kind = Reply::Kind::kArray};
  for (const double distance : distances) {
    rows.items.push_back({.kind = Reply::Kind::kText, .text = "key"});
    rows.items.push_back({.kind = Reply::Kind::kText, .text = number_text(distance)});
  }
  return rows;
}

std::vector<double> distances_of(const std::vector<Hit>& hits) {
  std::vector<double> distances;
  for (const Hit& hit : hits) distances.push_back(hit.distance);
  return distances;
}

}  // namespace

TEST_CASE("router: slots are those of Redis Cluster") {
  CHECK(crc16("123456789") == 0x31c3);
  CHECK(slot_of("foo") == 12182);
  CHECK(slot_of("{user1000}.following") == slot_of("user1000"));
  CHECK(slot_of("foo{}{bar}") == crc16("foo{}{bar}") % kSlots);
  CHECK(slot_of("foo{{bar}}zap") == slot_of("{bar"));
  CHECK(slot_of("foo{bar}{zap}") == slot_of("bar"));
  CHECK(slot_of("foo{bar") == crc16("foo{bar") % kSlots);
}

TEST_CASE("router: the tags of partitions lie evenly over the slots") {
  CHECK(slots_of_partitions(8) ==
        std::vector<int>{1598, 2299, 4903, 8046, 9375, 11726, 13470, 16195});
  for (const std::size_t partitions : {1UL, 3UL, 12UL, 64UL, kMostPartitions}) {
    const std::vector<int> slots = slots_of_partitions(partitions);
    for (std::size_t p = 0; p < partitions; ++p) {
      CHECK(static_cast<std::size_t>(slots[p]) * partitions / kSlots == p);
    }
  }
  CHECK(slot_of(partition_key("notes", partition_tag(3, 8), 7)) == 8046);
  CHECK(partition_key("notes", "3.0", 7) == "notes:{3.0}:7");
  CHECK(slot_of(meta_key("notes")) == slot_of("notes"));
}

TEST_CASE("router: keys spread evenly over partitions, and the same everywhere") {
  CHECK(partition_of("king", 1024) == 60);
  CHECK(partition_of("queen", 1024) == 454);
  std::vector<std::size_t> counts(8);
  for (int i = 0; i < 8000; ++i) ++counts[partition_of("key" + std::to_string(i), 8)];
  CHECK(*std::min_element(counts.begin(), counts.end()) > 850);
  CHECK(*std::max_element(counts.begin(), counts.end()) < 1150);
}

TEST_CASE("router: the map of a cluster comes from CLUSTER NODES, addresses from CLUSTER SLOTS") {
  const Reply slots = parsed(
      "*2\r\n*4\r\n:0\r\n:5460\r\n*3\r\n$2\r\nh1\r\n:1\r\n$1\r\na\r\n*3\r\n$2\r\nh2\r\n:2\r\n$"
      "1\r\nb\r\n"
      "*3\r\n:5461\r\n:5461\r\n*4\r\n$0\r\n\r\n:7\r\n$1\r\nc\r\n*0\r\n");
  const auto map = SlotMap::parse(
      text_of("a 10.0.0.1:1@11,h1 master - 0 0 3 connected 0-5460 6000-6001 [77->-c]\n"
              "b 10.0.0.2:2@12,h2 slave a 0 0 3 connected\n"
              "x 10.0.0.3:3@13 slave,fail a 0 0 3 disconnected\n"
              "c :7@17 myself,master - 0 0 2 connected 5461\n"
              "d :9@19 master,fail - 0 0 1 disconnected 16383\n"
              "e :0@0 master,noaddr - 0 0 1 disconnected 9000\n"),
      slots, "seed:9");
  REQUIRE(map);
  CHECK(map->covered() == 5465);
  CHECK(map->find(0)->master == "h1:1");
  CHECK(map->find(5460)->replicas == std::vector<Address>{"h2:2"});
  CHECK(map->find(5461)->master == "seed:7");
  CHECK(map->find(5462) == nullptr);
  CHECK(map->find(6001)->master == "h1:1");
  CHECK(map->find(9000) == nullptr);
  CHECK(map->find(16383)->master == "seed:9");
  for (const char* const wrong :
       {"hello", "a h:1@2 master - 0 0 1\n", "a h:1@2 master - 0 0 x connected 0\n",
        "a h:1@2 master - 0 0 1 connected 5-4\n", "a h:1@2 master - 0 0 1 connected 0-16384\n",
        "a h:1@2 master - 0 0 1 connected -1\n", "a h:1@2 master - 0 0 1 connected 1-\n"}) {
    CHECK_FALSE(SlotMap::parse(text_of(wrong), slots, "seed:9"));
  }
  const std::string right = node_line("h:1", "master", 1, "0-16383");
  CHECK(SlotMap::parse(text_of(right), slots, "seed:9"));
  CHECK_FALSE(SlotMap::parse(parsed("-ERR no cluster\r\n"), slots, "seed:9"));
  for (const char* const wrong :
       {"+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:5\r\n:6\r\n", "-ERR no cluster\r\n"}) {
    CHECK_FALSE(SlotMap::parse(text_of(right), parsed(wrong), "seed:9"));
  }
}

TEST_CASE("router: of owners of a slot the one of the greatest epoch counts, whoever tells last") {
  const SlotMap before = told_by(
      "a:1", {node_line("a:1", "myself,master", 3, "0-9"), node_line("b:1", "master", 2, "10-19")});
  const SlotMap deposed = told_by("a:1", {node_line("a:1", "myself,master", 3, "0-9"),
                                          node_line("b:1", "master,fail", 2, "10-19")});
  const SlotMap after = told_by(
      "c:1", {node_line("a:1", "master,fail", 3, ""), node_line("b:1", "master", 2, "10-19"),
              node_line("c:1", "myself,master", 4, "0-9")});
  SlotMap map;
  for (const SlotMap* told : {&before, &deposed, &after, &deposed, &before}) map.learn(*told);
  CHECK(map.find(9)->master == "c:1");
  CHECK(map.find(10)->master == "b:1");
  CHECK(map.covered() == 20);
  CHECK(map.shards().size() == 2);
  SlotMap late;
  for (const SlotMap* told : {&after, &before}) late.learn(*told);
  CHECK(late.find(0)->master == "c:1");
  // Once it leads again it has a greater epoch.
  map.learn(told_by("b:1", {node_line("a:1", "master", 5, "0-9")}));
  CHECK(map.find(0)->master == "a:1");
  map.learn(after);
  CHECK(map.find(0)->master == "a:1");
}

TEST_CASE("router: an owner that gives a slot away is believed before the epoch is greater") {
  SlotMap map;
  map.learn(told_by("a:1", {node_line("a:1", "myself,master", 3, "0-9"),
                            node_line("b:1", "master", 2, "10-19")}));
  const std::vector<std::string> moved = {node_line("a:1", "master", 3, "1-9"),
                                          node_line("b:1", "master", 2, "0 10-19")};
  map.learn(told_by("c:1", moved));
  CHECK(map.find(0)->master == "a:1");
  std::vector<std::string> moved_by_owner = moved;
  moved_by_owner[0] = node_line("a:1", "myself,master", 3, "1-9");
  map.learn(told_by("a:1", moved_by_owner));
  CHECK(map.find(0)->master == "b:1");
  CHECK(map.find(1)->master == "a:1");
  moved_by_owner[0] = node_line("a:1", "myself,master", 3, "2-9");
  map.learn(told_by("a:1", moved_by_owner));
  CHECK(map.find(1) == nullptr);
}

TEST_CASE("router: redirects change the map where its owner of the slot gives them") {
  SlotMap map;
  map.learn(told_by("a:1", {node_line("a:1", "myself,master", 3, "0-9")}));
  map.redirect(5, "b:1", "c:1");
  CHECK(map.find(5)->master == "a:1");
  map.redirect(5, "a:1", "c:1");
  CHECK(map.find(5)->master == "c:1");
  CHECK(map.find(4)->master == "a:1");
  map.redirect(20, "a:1", "c:1");
  CHECK(map.find(20)->master == "c:1");
}

TEST_CASE("router: what a node tells of replicas is taken with its master") {
  SlotMap map;
  map.learn(told_by("a:1", {node_line("a:1", "myself,master", 3, "0-9")}));
  CHECK(map.find(0)->replicas.empty());
  const Reply slots = parsed(
      "*1\r\n*4\r\n:0\r\n:8\r\n*3\r\n$1\r\na\r\n:1\r\n$6\r\nid-a:1\r\n"
      "*3\r\n$1\r\nb\r\n:1\r\n$6\r\nid-b:1\r\n");
  const auto told = SlotMap::parse(
      text_of(node_line("a:1", "myself,master", 3, "0-8") +
              "\nid-b:1 b:1@1 slave id-a:1 0 0 3 connected\n" + node_line("c:1", "master", 4, "9")),
      slots, "a:1");
  REQUIRE(told);
  map.learn(*told);
  CHECK(map.find(0)->replicas == std::vector<Address>{"b:1"});
  CHECK(map.find(9)->master == "c:1");
  CHECK(map.shards().size() == 2);
}

TEST_CASE("router: addresses are host and port") {
  CHECK(parse_address("::1:7000")->host == "::1");
  CHECK(parse_address("[::1]:7000")->host == "::1");
  CHECK(parse_address("node:7000")->port == 7000);
  for (const char* const wrong : {"node", "node:", ":7000", "node:0", "node:65536", "node:7x"}) {
    CHECK_FALSE(parse_address(wrong));
  }
}

TEST_CASE("router: replies are read however they arrive") {
  auto rng = test::make_rng(1);
  const std::string bytes =
      "+OK\r\n$5\r\na\r\nbc\r\n*2\r\n*0\r\n*-1\r\n:-7\r\n-MOVED 5 "
      "h:1\r\n%1\r\n+k\r\n,1.5\r\n_\r\n$-1\r\n"
      "#t\r\n=7\r\ntxt:abc\r\n*1\r\n*1\r\n$0\r\n\r\n~1\r\n:1\r\n";
  for (int round = 0; round < 50; ++round) {
    const std::vector<Reply> replies = read_in_pieces(bytes, rng);
    REQUIRE(replies.size() == 12);
    CHECK(replies[1].text == "a\r\nbc");
    CHECK(replies[2].items.size() == 2);
    CHECK(replies[3].integer == -7);
    CHECK(replies[4].is_error("MOVED"));
    CHECK_FALSE(replies[4].is_error("MOVE"));
    CHECK(replies[5].items[1].text == "1.5");
    CHECK(replies[8].integer == 1);
    CHECK(replies[9].text == "abc");
    CHECK(replies[10].items[0].items[0].text.empty());
  }
}

TEST_CASE("router: what is no reply is refused, and costs nothing") {
  const auto outcome_of = [](const std::string& bytes) { return ReplyScanner().scan(bytes); };
  using Outcome = ReplyScanner::Outcome;
  CHECK(outcome_of("hello\r\n") == Outcome::kError);
  CHECK(outcome_of("\r\n") == Outcome::kError);
  CHECK(outcome_of("$-2\r\n") == Outcome::kError);
  CHECK(outcome_of("$9999999999\r\n") == Outcome::kError);
  CHECK(outcome_of("*99999999999\r\n") == Outcome::kError);
  CHECK(outcome_of(":1x\r\n") == Outcome::kError);
  CHECK(outcome_of(std::string(100'000, '+')) == Outcome::kError);
  CHECK(outcome_of("*33554432\r\n") == Outcome::kIncomplete);
  // What is asked for in pieces is as large as in one.
  CHECK(outcome_of("*2\r\n$4\r\nabcd\r\n$1073000000\r\n") == Outcome::kIncomplete);
  CHECK(outcome_of("*2\r\n$4\r\nabcd\r\n$1073741824\r\n") == Outcome::kError);
  CHECK(outcome_of("*2\r\n*33554432\r\n") == Outcome::kError);
  std::string deep;
  for (int i = 0; i < 9; ++i) deep += "*1\r\n";
  CHECK(outcome_of(deep) == Outcome::kError);
}

TEST_CASE("router: partitions are asked for few more than their share") {
  CHECK(first_k(1, 8) == 1);
  CHECK(first_k(10, 8) == 8);
  CHECK(first_k(10, 1) == 10);
  CHECK(first_k(1000, 8) == 162);
}

TEST_CASE("router: the merge with its second round is that of one index") {
  auto rng = test::make_rng(2);
  for (int round = 0; round < 300; ++round) {
    const std::size_t partitions = 1 + rng() % 9;
    const std::size_t k = 1 + rng() % 60;
    // Sometimes the nearest are all in one partition, and often there are equal ones.
    const std::uint64_t skew = rng() % 3;
    const std::uint64_t values = round % 2 == 0 ? 50 : 1'000'000;
    std::vector<std::vector<double>> held(partitions);
    std::vector<double> all;
    for (std::size_t i = 0, items = rng() % 300; i < items; ++i) {
      const std::size_t home = rng() % partitions;
      const double distance =
          static_cast<double>(rng() % values) / (home == 0 && skew == 0 ? 9 : 1);
      held[home].push_back(distance);
      all.push_back(distance);
    }
    for (auto& distances : held) std::sort(distances.begin(), distances.end());
    std::sort(all.begin(), all.end());
    all.resize(std::min(all.size(), k));

    std::vector<Reply> replies(partitions);
    std::vector<std::vector<Hit>> lists(partitions);
    std::vector<std::size_t> asked(partitions, first_k(k, partitions));
    const auto ask = [&](std::size_t p) {
      replies[p] = rows_of({held[p].begin(), held[p].begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   asked[p], held[p].size()))});
      lists[p] = hits_of(replies[p], 2, p).value();
    };
    for (std::size_t p = 0; p < partitions; ++p) ask(p);
    for (const std::size_t p : short_lists(lists, asked, k)) {
      asked[p] = k;
      ask(p);
    }
    REQUIRE(short_lists(lists, asked, k).empty());
    CHECK(distances_of(merge_hits(lists, k)) == all);
  }
}

TEST_CASE("router: a batch that a partition has answered in part is refused") {
  const Reply two = parsed("*2\r\n*0\r\n*0\r\n");
  const Reply one = parsed("*1\r\n*0\r\n");
  const Reply none = parsed("+OK\r\n");
  CHECK(count_queries(std::vector<const Reply*>{&two, nullptr, &two}).value() == 2);
  CHECK(count_queries(std::vector<const Reply*>{nullptr}).value() == 0);
  const auto short_one = count_queries(std::vector<const Reply*>{&two, nullptr, &one});
  CHECK(short_one.error().message == "partition 2: it answers 1 queries of a batch, and others 2");
  CHECK_FALSE(count_queries(std::vector<const Reply*>{&none}));
}

TEST_CASE("router: a missing partition is named once, however many commands it was sent") {
  Layout layout;
  layout.index = "i";
  layout.partitions = 8;
  const auto missing = [](std::size_t partition) {
    return Part{.partition = partition, .answer = {.is_missing = true, .bytes = "n: timed out"}};
  };
  CHECK(missing_sentence(layout, {{.partition = 1}}).empty());
  CHECK(missing_sentence(layout, {missing(5), {.partition = 1}, missing(2), missing(5)}) ==
        "2 of 8 partitions of index 'i' did not answer: 2 (n: timed out), 5 (n: timed out)");
}

TEST_CASE("router: equal distances go to the lower partition") {
  const Reply rows = rows_of({1, 2});
  const std::vector<std::vector<Hit>> lists = {hits_of(rows, 2, 4).value(),
                                               hits_of(rows, 2, 2).value()};
  const std::vector<Hit> merged = merge_hits(lists, 3);
  REQUIRE(merged.size() == 3);
  CHECK(merged[0].partition == 2);
  CHECK(merged[1].partition == 4);
}

TEST_CASE("router: one read of twenty is hedged, and none before it takes long") {
  Hedges hedges;
  CHECK_FALSE(hedges.delay_us());
  CHECK_FALSE(hedges.take(0));
  std::size_t hedged = 0;
  for (std::int64_t i = 1; i <= 4000; ++i) {
    hedges.begin();
    hedges.end(i % 100);
    if (hedges.take(0)) ++hedged;
  }
  CHECK(hedged >= 198);
  CHECK(hedged <= 200);
  REQUIRE(hedges.delay_us());
  CHECK(*hedges.delay_us() >= 93);
  CHECK(*hedges.delay_us() <= 97);
  // Many reads that needed none do not make a flood possible.
  for (int i = 0; i < 4000; ++i) hedges.begin();
  hedged = 0;
  while (hedges.take(0)) ++hedged;
  CHECK(hedged == 16);
  // Where there are few, time gives them.
  CHECK_FALSE(hedges.take(40));
  CHECK(hedges.take(60));
  CHECK_FALSE(hedges.take(60));
}

TEST_CASE("router: shares come of logarithms that no exponential holds") {
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  const Shares shares = shares_of(std::vector<double>{-5000, kNone, -5000 + std::log(3.0)});
  CHECK(shares.of[0] == doctest::Approx(0.25));
  CHECK(shares.of[1] == 0);
  CHECK(shares.of[2] == doctest::Approx(0.75));
  CHECK(shares.log_sum == doctest::Approx(-5000 + std::log(4.0)));
  const Shares nothing = shares_of(std::vector<double>{kNone, kNone});
  CHECK(nothing.of == std::vector<double>{0, 0});
  CHECK(nothing.log_sum == kNone);
}

TEST_CASE("router: what describes weights comes of parts of them") {
  auto rng = test::make_rng(3);
  for (int round = 0; round < 100; ++round) {
    const std::size_t partitions = 1 + rng() % 5;
    std::vector<std::vector<double>> logits(partitions);
    std::vector<double> all;
    for (auto& held : logits) {
      for (std::size_t i = 0, items = 1 + rng() % 20; i < items; ++i) {
        held.push_back(static_cast<double>(rng() % 1000) / 100 - 500);
        all.push_back(held.back());
      }
    }
    const Shares weights = shares_of(all);
    double entropy = 0;
    double squares = 0;
    for (const double weight : weights.of) {
      if (weight > 0) entropy -= weight * std::log(weight);
      squares += weight * weight;
    }
    std::vector<PartRecall> parts(partitions);
    for (std::size_t p = 0; p < partitions; ++p) {
      const Shares own = shares_of(logits[p]);
      double own_squares = 0;
      for (const double weight : own.of) {
        if (weight > 0) parts[p].entropy -= weight * std::log(weight);
        own_squares += weight * weight;
      }
      parts[p].effective_count = 1 / own_squares;
      parts[p].weight = *std::max_element(own.of.begin(), own.of.end());
      parts[p].beta = 2;
      parts[p].energy = -own.log_sum / 2;
    }
    const Shares shares = energy_shares(parts);
    CHECK(shares.log_sum == doctest::Approx(weights.log_sum).epsilon(1e-12));
    CHECK(entropy_of(parts, shares) == doctest::Approx(entropy).epsilon(1e-9));
    CHECK(effective_count_of(parts, shares) == doctest::Approx(1 / squares).epsilon(1e-9));
    const std::size_t best = heaviest_at_state(parts, shares);
    CHECK(shares.of[best] * parts[best].weight ==
          doctest::Approx(*std::max_element(weights.of.begin(), weights.of.end())));
  }
}

TEST_CASE("router: what is no answer of a recall is refused") {
  CHECK_FALSE(part_recall(parsed("+OK\r\n"), 2));
  CHECK_FALSE(part_recall(parsed("%1\r\n+beta\r\n,1\r\n"), 2));
}

TEST_CASE("router: what is no answer of a search is refused") {
  CHECK_FALSE(hits_of(parsed("+OK\r\n"), 2, 0));
  CHECK_FALSE(hits_of(parsed("*1\r\n+a\r\n"), 2, 0));
  CHECK_FALSE(hits_of(parsed("*2\r\n+a\r\n+b\r\n"), 2, 0));
}

}  // namespace engram::router::router_test
