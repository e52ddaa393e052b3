// SPDX-License-Identifier: Apache-2.0
// The graph as a whole: how well it is searched, and whether all of it can be reached.
#include "primitives/shared/hnsw/hnsw.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tests/primitives/hnsw/graphs.h"
#include "tests/support/memory_sections.h"
#include "tests/support/scarce_memory.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::hnsw_test {
namespace {

using test::check_lists;
using test::clustered_vectors;
using test::equal_vectors;
using test::graph_of;
using test::hnsw;
using test::Rng;
using test::TestCollection;
using test::uniform_vectors;
using test::unreachable;
using test::Vectors;

/// Whether a list could be a selection's: the diverse, which none of them rules out, then others,
/// each of which one of those rules out. Of vectors without ties.
bool is_selection(const RowView& rows, Slot node, const LinkList& links) {
  AlignedBuffer storage;
  std::vector<Hit> hits;
  links.for_each([&](Slot slot) {
    hits.push_back({rows.to_slot(node, storage).score(slot), slot});
  });
  const auto middle = std::is_sorted_until(hits.begin(), hits.end(), ByPairHash{node});
  if (middle == hits.end()) return true;  // where the diverse end cannot be seen
  bool fits = std::is_sorted(middle, hits.end(), ByPairHash{node});
  for (auto hit = hits.begin(); hit != hits.end(); ++hit) {
    const Bound bound = rows.to_slot(hit->slot, storage);
    const bool ruled_out = std::any_of(hits.begin(), std::min(hit, middle), [&](const Hit& by) {
      return by.score < hit->score && bound.score(by.slot) < hit->score;
    });
    fits = fits && ruled_out == (hit >= middle);
  }
  return fits;
}

/// How many lists are marked as selected. Checks that they are.
std::size_t check_selections(TestCollection& collection) {
  const Graph& graph = graph_of(collection);
  const RowView rows{collection.kernel(), collection.store().rows()};
  std::size_t marked = 0;
  std::size_t wrong = 0;
  for (const Slot node : collection.held()) {
    for (unsigned level = 0; level <= graph.level(node); ++level) {
      if (!graph.is_selected(node, level)) continue;
      ++marked;
      wrong += !is_selection(rows, node, graph.links(node, level));
    }
  }
  CHECK(wrong == 0);
  return marked;
}

TEST_CASE("hnsw/hnsw: lists that are marked as selected are, whatever was erased and added") {
  Rng rng = test::make_rng(91);
  TestCollection collection(hnsw(), Metric::kL2, 6, {{"M", "6"}});
  std::vector<Slot> slots;
  for (int round = 0; round < 6; ++round) {
    const Vectors vectors = uniform_vectors(rng, 500, 6);
    for (std::size_t i = 0; i < vectors.count(); ++i) slots.push_back(collection.add(vectors[i]));
    CHECK(check_selections(collection) > 100);
    std::shuffle(slots.begin(), slots.end(), rng);
    // Few, so that most lists lose one neighbour at most, and many, by turns.
    const std::size_t erased = round % 2 == 0 ? 20 : 300;
    for (std::size_t i = 0; i < erased; ++i) collection.erase(slots[i]);
    slots.erase(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(erased));
    collection.reclaim();
    check_selections(collection);
  }
}

/// Halving vectors moves no answer; where float32 has no squares of their distances left, neither
/// does it.
TEST_CASE("hnsw/hnsw: vectors whose squares underflow are found as well as others" *
          doctest::test_suite("quality")) {
  for (const std::string quant : {"f32", "sq8", "sq4", "bin"}) {
    double recall[2];
    for (const int exponent : {0, -75}) {
      Rng rng(9);
      Vectors vectors = uniform_vectors(rng, 1500, 16);
      Vectors queries = uniform_vectors(rng, 100, 16);
      for (float& value : vectors.values) value = std::ldexp(value, exponent);
      for (float& value : queries.values) value = std::ldexp(value, exponent);
      TestCollection collection(hnsw(), Metric::kL2, 16, {{"QUANT", quant}});
      collection.add_all(vectors);
      recall[exponent < 0] = collection.recall(queries, {.k = 10, .ef = 64});
    }
    CAPTURE(quant);
    INFO("recall@10 of vectors, and of 2^-75 of them: " << recall[0] << ", " << recall[1]);
    CHECK(recall[0] > 0.9);
    CHECK(std::abs(recall[1] - recall[0]) < 0.02);
  }
}

// Bounded from both sides: a recall that rises is as suspicious as one that falls, until explained.
TEST_CASE("hnsw/hnsw: recall on a fixed seed lies where it was measured" *
          doctest::test_suite("quality")) {
  Rng rng(7);
  TestCollection collection(hnsw(), Metric::kL2, 32);
  collection.add_all(uniform_vectors(rng, 5000, 32));
  const Vectors queries = uniform_vectors(rng, 200, 32);
  const double at_16 = collection.recall(queries, {.k = 10, .ef = 16});
  const double at_64 = collection.recall(queries, {.k = 10, .ef = 64});
  const double at_256 = collection.recall(queries, {.k = 10, .ef = 256});
  INFO("recall@10 at ef 16, 64, 256: " << at_16 << ", " << at_64 << ", " << at_256);
  CHECK(at_16 > 0.80);
  CHECK(at_16 < 0.86);
  CHECK(at_64 > 0.975);
  CHECK(at_64 < 0.995);
  CHECK(at_256 > 0.999);
}

TEST_CASE("hnsw/hnsw: a search whose walk would cost more than a scan scans, and is exact") {
  Rng rng = test::make_rng(97);
  TestCollection collection(hnsw(), Metric::kL2, 32, {{"M", "4"}, {"EF_CONSTRUCTION", "10"}});
  collection.add_all(uniform_vectors(rng, 3000, 32));
  const Vectors queries = uniform_vectors(rng, 100, 32);
  CHECK(collection.recall(queries, {.k = 10, .ef = 40}) < 0.9);  // it walks: such a graph is poor
  for (const std::size_t ef : {60UL, 300UL, 2999UL, 3000UL}) {
    CHECK(collection.recall(queries, {.k = 10, .ef = ef}) == 1);
  }
}

TEST_CASE("hnsw/hnsw: few items have no graph, and a scan answers; one more, and all are nodes") {
  Rng rng = test::make_rng(93);
  for (const char* const quant : {"f32", "sq8"}) {
    TestCollection collection(hnsw(), Metric::kL2, 8, {{"QUANT", quant}});
    const Vectors vectors = uniform_vectors(rng, kGraphFrom + 50, 8);
    const Vectors queries = uniform_vectors(rng, 20, 8);
    for (std::size_t i = 0; i < vectors.count(); ++i) {
      if (i == 100) {
        for (Slot slot = 0; slot < 20; ++slot) collection.erase(slot);
        collection.reclaim();
      }
      collection.add(vectors[i]);
      const bool has_graph = collection.held().size() >= kGraphFrom;
      CHECK(graph_of(collection).node_end() == (has_graph ? kGraphFrom : 0));
      if (has_graph) break;
    }
    CHECK(collection.index().memory_bytes() < 100'000);
    CHECK(unreachable(collection) == 0);
    check_lists(collection);
    CHECK(collection.recall(queries, {.k = 10, .ef = 64}) > 0.99);
    collection.erase(collection.add(vectors[0]));
    while (collection.held().size() > 5) collection.erase(*collection.held().begin());
    collection.reclaim();
    CHECK(graph_of(collection).node_end() > kGraphFrom);  // there is no way back
    CHECK(collection.recall(queries, {.k = 5, .ef = 1}) == 1);
  }
}

TEST_CASE("hnsw/hnsw: an insert that has no memory for the graph leaves no node of its slot") {
  constexpr Slot kReused = 5;
  const auto on_a_line = [](float x) { return std::vector<float>{x, 0}; };
  bool is_built = false;
  for (std::size_t allocations = 0; !is_built; ++allocations) {
    CAPTURE(allocations);
    TestCollection collection(hnsw(), Metric::kL2, 2);
    for (std::size_t i = 0; i + 1 < kGraphFrom; ++i) {
      collection.add(on_a_line(static_cast<float>(i)));
    }
    collection.erase(kReused);
    collection.add(on_a_line(kReused));
    collection.reclaim();
    REQUIRE(collection.store().allocate().value() == kReused);
    collection.store().write(kReused, on_a_line(50.5F));
    {
      const test::ScarceMemory scarce(allocations);
      const Insertion item{.slot = kReused, .identity = 1};
      is_built = collection.index().insert(item, collection.scratch()).has_value();
    }
    if (is_built) break;
    CHECK(collection.index().size() == kGraphFrom - 1);
    collection.store().release(kReused);
    REQUIRE(collection.add(on_a_line(200.5F)) == kReused);
    std::vector<Slot> neighbors;
    graph_of(collection).links(kReused, 0).for_each([&](Slot slot) { neighbors.push_back(slot); });
    for (const Slot nearest : {Slot{200}, Slot{201}}) {
      CHECK(std::count(neighbors.begin(), neighbors.end(), nearest) == 1);
    }
    check_lists(collection);
    REQUIRE(allocations < 100);
  }
}

TEST_CASE("hnsw/hnsw: an index without a graph is saved, and has the same graph later") {
  Rng rng = test::make_rng(94);
  const Vectors vectors = uniform_vectors(rng, kGraphFrom, 8);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  TestCollection loaded(hnsw(), Metric::kL2, 8);
  for (std::size_t i = 0; i + 1 < vectors.count(); ++i) {
    collection.add(vectors[i]);
    loaded.add(vectors[i]);
  }
  const auto saved = loaded.save();
  CHECK(saved->index.size() == 2);  // neither links nor codes
  REQUIRE(loaded.restore(*saved).has_value());
  CHECK(loaded.recall(uniform_vectors(rng, 20, 8), {.k = 10, .ef = 1}) == 1);
  collection.add(vectors[kGraphFrom - 1]);
  loaded.add(vectors[kGraphFrom - 1]);
  const auto with_graph = collection.save();
  CHECK(with_graph->index.size() == 4);
  CHECK(loaded.save()->index == with_graph->index);
}

TEST_CASE("hnsw/hnsw: an item without a level is refused") {
  Rng rng = test::make_rng(95);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(uniform_vectors(rng, 20, 8));
  const auto refused = [&](std::string_view section, std::vector<std::byte> bytes) {
    const auto saved = collection.save();
    saved->index[std::string(section)] = std::move(bytes);
    const auto index = collection.make_index();
    test::MemorySectionReader reader(saved->index);
    const Status loaded = index->load(reader, saved->items);
    return !loaded && loaded.error().code == ErrorCode::kDataLoss;
  };
  std::vector<std::byte> levels(20, std::byte{0});
  CHECK_FALSE(refused("hnsw.levels", levels));
  levels[7] = std::byte{kNoNode};
  CHECK(refused("hnsw.levels", levels));
  levels[7] = std::byte{kMaxLevel + 1};
  CHECK(refused("hnsw.levels", levels));
  CHECK(refused("hnsw.levels", std::vector<std::byte>(19)));
  CHECK(refused("hnsw.header", std::vector<std::byte>(24)));
}

TEST_CASE("hnsw/hnsw: small graphs of version 2 are read, and those of version 3") {
  Rng rng = test::make_rng(96);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(uniform_vectors(rng, kGraphFrom, 8));
  while (collection.held().size() > 10) collection.erase(*collection.held().begin());
  collection.reclaim();
  const auto saved = collection.save();
  auto& base = saved->index["hnsw.base"];
  for (std::size_t i = 0; i < base.size(); i += sizeof(Slot)) {  // no link is marked
    const bool is_link = base[i] != std::byte{0xFF} || base[i + 1] != std::byte{0xFF};
    if (is_link) base[i + 3] &= std::byte{0x7F};
  }
  saved->index["hnsw.header"][0] = std::byte{3};
  REQUIRE(collection.restore(*saved).has_value());
  saved->index["hnsw.header"][0] = std::byte{2};
  REQUIRE(collection.restore(*saved).has_value());
  CHECK(graph_of(collection).entry().slot != kNoSlot);
  collection.add_all(uniform_vectors(rng, 10, 8));
  CHECK(unreachable(collection) == 0);
}

TEST_CASE("hnsw/hnsw: an ef of the collection's size gives the exact answer") {
  Rng rng = test::make_rng(81);
  TestCollection collection(hnsw(), Metric::kCosine, 8);
  collection.add_all(uniform_vectors(rng, 1000, 8));
  CHECK(collection.recall(uniform_vectors(rng, 50, 8), {.k = 10, .ef = 1000}) == 1);
}

TEST_CASE("hnsw/hnsw: levels are geometric, and drawn from identities") {
  Rng rng = test::make_rng(82);
  TestCollection collection(hnsw(), Metric::kL2, 2, {{"M", "4"}, {"EF_CONSTRUCTION", "10"}});
  collection.add_all(uniform_vectors(rng, 8000, 2));
  const Graph& graph = graph_of(collection);
  std::size_t upper = 0;
  for (const Slot slot : collection.held()) upper += graph.level(slot) > 0;
  CHECK(upper > 1800);  // one in M, four standard deviations either way
  CHECK(upper < 2200);

  TestCollection reseeded(hnsw(), Metric::kL2, 2,
                          {{"M", "4"}, {"EF_CONSTRUCTION", "10"}, {"SEED", "43"}});
  reseeded.add_all(uniform_vectors(rng, 300, 2));
  std::size_t different = 0;
  for (const Slot slot : reseeded.held()) {
    different += graph.level(slot) != graph_of(reseeded).level(slot);
  }
  CHECK(different > 0);
}

TEST_CASE("hnsw/hnsw: nearly everything can be reached, in uniform, clustered and equal data" *
          doctest::test_suite("long")) {
  Rng rng = test::make_rng(83);
  for (const Metric metric : kMetrics) {
    CAPTURE(metric_name(metric));
    TestCollection uniform(hnsw(), metric, 12);
    uniform.add_all(uniform_vectors(rng, 3000, 12));
    TestCollection clustered(hnsw(), metric, 12);
    clustered.add_all(clustered_vectors(rng, 3000, 12));
    TestCollection equal(hnsw(), metric, 12);
    equal.add_all(equal_vectors(3000, 12, 0.3F));
    // Under dot what is short is nobody's near neighbour; such nodes are known to lose their links.
    const std::size_t allowed = metric == Metric::kDot ? 300 : 3;
    CHECK(unreachable(uniform) <= allowed);
    CHECK(unreachable(clustered) <= allowed);
    CHECK(unreachable(equal) == 0);
    check_lists(clustered);
  }
}

TEST_CASE("hnsw/hnsw: rounds of replacing half change recall by less than 0.01" *
          doctest::test_suite("long")) {
  Rng rng = test::make_rng(84);
  const Vectors vectors = uniform_vectors(rng, 4000, 24);
  const Vectors queries = uniform_vectors(rng, 1000, 24);
  TestCollection fresh(hnsw(), Metric::kL2, 24);
  fresh.add_all(vectors);
  TestCollection churned(hnsw(), Metric::kL2, 24);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < 4000; ++i) slots.push_back(churned.add(vectors[i]));
  for (int round = 0; round < 5; ++round) {
    std::vector<std::size_t> order(4000);
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), rng);
    order.resize(2000);
    for (const std::size_t i : order) churned.erase(slots[i]);
    churned.reclaim();
    check_lists(churned);
    CHECK(unreachable(churned) <= 2);
    for (const std::size_t i : order) slots[i] = churned.add(vectors[i]);
  }
  const SearchParams params{.k = 10, .ef = 32};
  const double before = fresh.recall(queries, params);
  const double after = churned.recall(queries, params);
  INFO("recall fresh " << before << ", churned " << after);
  CHECK(after > before - 0.01);
  CHECK(unreachable(churned) <= 3);
}

TEST_CASE("hnsw/hnsw: a region that is erased whole does not cut the rest in two") {
  TestCollection collection(hnsw(), Metric::kL2, 1, {{"M", "4"}});
  Vectors line{1, {}};
  for (int i = 0; i < 3000; ++i) line.values.push_back(static_cast<float>(i));
  std::shuffle(line.values.begin(), line.values.end(), std::mt19937_64(5));
  std::vector<Slot> middle;
  for (std::size_t i = 0; i < line.count(); ++i) {
    const Slot slot = collection.add(line[i]);
    if (line.values[i] >= 500 && line.values[i] < 2500) middle.push_back(slot);
  }
  for (const Slot slot : middle) collection.erase(slot);
  collection.reclaim();
  check_lists(collection);
  CHECK(unreachable(collection) == 0);
  CHECK(collection.recall(line, {.k = 5, .ef = 20}) > 0.95);
}

TEST_CASE("hnsw/hnsw: the entry point moves on when it is erased") {
  Rng rng = test::make_rng(86);
  TestCollection collection(hnsw(), Metric::kL2, 4);
  collection.add_all(uniform_vectors(rng, 500, 4));
  while (!collection.held().empty()) {
    const Entry entry = graph_of(collection).entry();
    CHECK(collection.held().contains(entry.slot));
    CHECK(graph_of(collection).level(entry.slot) == entry.level);
    collection.erase(entry.slot);
    collection.reclaim();
    if (collection.held().size() > 450) check_lists(collection);
  }
  CHECK(graph_of(collection).entry().slot == kNoSlot);
}

TEST_CASE("hnsw/hnsw: an insert that no walk leads to held nodes finds them all the same") {
  Rng rng = test::make_rng(88);
  TestCollection collection(hnsw(), Metric::kL2, 4);
  collection.add_all(uniform_vectors(rng, kGraphFrom, 4));
  for (Slot slot = 9; slot < kGraphFrom; ++slot) collection.erase(slot);
  collection.reclaim();
  const auto saved = collection.save();
  for (const char* const name : {"hnsw.base", "hnsw.upper"}) {  // no node has a link
    std::fill(saved->index[name].begin(), saved->index[name].end(), std::byte{0xFF});
  }
  REQUIRE(collection.restore(*saved).has_value());
  collection.erase(graph_of(collection).entry().slot);
  collection.add_all(uniform_vectors(rng, 1, 4));
  CHECK(unreachable(collection) == 0);
  check_lists(collection);
}

TEST_CASE("hnsw/hnsw: levels without the links for them are refused before memory is taken") {
  Rng rng = test::make_rng(89);
  TestCollection collection(hnsw(), Metric::kL2, 4, {{"M", "512"}});
  collection.add_all(uniform_vectors(rng, 300, 4));
  const auto saved = collection.save();
  auto& levels = saved->index["hnsw.levels"];
  std::fill(levels.begin(), levels.end(), std::byte{kMaxLevel});
  const auto index = collection.make_index();
  test::MemorySectionReader reader(saved->index);
  const Status loaded = index->load(reader, saved->items);
  REQUIRE_FALSE(loaded.has_value());
  CHECK(loaded.error().code == ErrorCode::kDataLoss);
  CHECK(index->memory_bytes() < collection.index().memory_bytes());
}

TEST_CASE("hnsw/hnsw: an upper link to a node without that level is refused") {
  Rng rng = test::make_rng(90);
  TestCollection collection(hnsw(), Metric::kL2, 4, {{"M", "4"}});
  collection.add_all(uniform_vectors(rng, 300, 4));
  const Graph& graph = graph_of(collection);
  Slot low = 0;
  while (graph.level(low) > 0) ++low;
  for (const Slot wrong : {low, Slot{300}, Slot{kNoSlot - 1}}) {
    const auto saved = collection.save();
    std::memcpy(saved->index["hnsw.upper"].data(), &wrong, sizeof wrong);
    const auto index = collection.make_index();
    test::MemorySectionReader reader(saved->index);
    CHECK(index->load(reader, saved->items).error().code == ErrorCode::kDataLoss);
  }
}

TEST_CASE("hnsw/hnsw: nodes that the store does not have are left out, and the links to them") {
  Rng rng = test::make_rng(91);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(uniform_vectors(rng, 1000, 8));
  const auto saved = collection.save_items();
  collection.save_rows(*saved);
  const unsigned level_before = graph_of(collection).entry().level;
  do {  // until a newcomer is the entry point
    collection.add_all(uniform_vectors(rng, 20, 8));
  } while (graph_of(collection).entry().level == level_before);
  collection.save_structure(*saved);

  REQUIRE(collection.restore(*saved).has_value());
  CHECK(graph_of(collection).node_end() == 1000);
  const Entry entry = graph_of(collection).entry();
  CHECK(entry.level == level_before);
  CHECK(graph_of(collection).level(entry.slot) == entry.level);
  check_lists(collection);
}

TEST_CASE("hnsw/hnsw: nodes that came after the items lead walks until they are reclaimed") {
  Rng rng = test::make_rng(93);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(uniform_vectors(rng, 1000, 8));
  const auto saved = collection.save_items();
  collection.add_all(uniform_vectors(rng, 1000, 8));
  collection.save_structure(*saved);
  collection.save_rows(*saved);
  REQUIRE(collection.restore(*saved).has_value());
  CHECK(graph_of(collection).node_end() == 2000);
  CHECK(unreachable(collection) <= 2);
  collection.reclaim();
  CHECK(unreachable(collection) <= 2);
  check_lists(collection);
}

TEST_CASE("hnsw/hnsw: nodes that were erased before a save lead walks until they are reclaimed") {
  Rng rng = test::make_rng(92);
  TestCollection collection(hnsw(), Metric::kL2, 8);
  collection.add_all(uniform_vectors(rng, 1000, 8));
  for (Slot slot = 0; slot < 700; ++slot) collection.erase(slot);
  REQUIRE(collection.restore(*collection.save()).has_value());
  const Hnsw& index = dynamic_cast<Hnsw&>(collection.index());
  const auto erased_nodes = [&] {
    for (const Fact& fact : index.describe()) {
      if (fact.name == "erased-nodes") return fact.value;
    }
    return std::string();
  };
  CHECK(erased_nodes() == "700");
  CHECK(unreachable(collection) == 0);
  collection.reclaim();
  CHECK(erased_nodes() == "0");
  check_lists(collection);
  CHECK(unreachable(collection) == 0);
}

TEST_CASE("hnsw/hnsw: describes itself") {
  Rng rng = test::make_rng(87);
  TestCollection collection(hnsw(), Metric::kL2, 4, {{"M", "8"}});
  collection.add_all(uniform_vectors(rng, 500, 4));
  collection.erase(7);
  std::map<std::string, std::string> facts;
  for (const Fact& fact : collection.index().describe()) facts[fact.name] = fact.value;
  CHECK(facts["hnsw-m"] == "8");
  CHECK(facts["ef-construction"] == "200");
  CHECK(facts["ef-search"] == "64");
  CHECK(facts["erased-nodes"] == "1");
  CHECK(std::stoi(facts["max-level"]) >= 1);
  CHECK(std::stod(facts["mean-degree"]) > 8);
  CHECK(facts["unfound-items"] == "0/0");  // such searches scan
}

}  // namespace
}  // namespace engram::hnsw::hnsw_test
