// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/seed.h"
#include "tests/support/signs.h"
#include "tests/support/test_collection.h"

namespace engram::test::palimpsest_test {
namespace {

TestCollection empty_memory(std::size_t dim, std::vector<OptionText> options = {}) {
  return TestCollection(*find_primitive("palimpsest").value(), Metric::kDot, dim,
                        std::move(options));
}

/// -1/(2 d) sum J_kl q_k q_l from the definition, without the diagonal: J from all items in order.
double energy_of(const std::vector<std::vector<float>>& items, std::span<const float> q,
                 int bound) {
  const std::size_t dim = q.size();
  double sum = 0;
  for (std::size_t k = 0; k < dim; ++k) {
    for (std::size_t l = 0; l < dim; ++l) {
      int synapse = 0;
      for (const auto& item : items) {
        synapse = std::clamp(synapse + static_cast<int>(item[k] * item[l]), -bound, bound);
      }
      if (k != l) sum += synapse * double{q[k]} * double{q[l]};
    }
  }
  return -sum / (2 * static_cast<double>(dim));
}

TEST_CASE("primitives/palimpsest: synapses are those of the items that are held, in their order") {
  Rng rng = make_rng(1);
  constexpr std::size_t kDim = 7;
  for (const std::string bound : {"1", "2", "126"}) {
    TestCollection memory = empty_memory(kDim, {{"BOUND", bound}});
    std::vector<std::pair<Slot, std::vector<float>>> held;  // in order
    for (int i = 0; i < 300; ++i) {
      const Vectors item = random_signs(rng, 1, kDim);
      if (i > 150 && rng() % 2 == 0) {
        const std::size_t at = rng() % held.size();
        memory.erase(held[at].first);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
      } else {
        held.emplace_back(memory.add(item[0]), item.values);
      }
      if (i % 30 != 29) continue;
      std::vector<std::vector<float>> items;
      for (const auto& [slot, vector] : held) items.push_back(vector);
      const Vectors state = random_signs(rng, 1, kDim);
      CHECK(memory.energy(state[0]) ==
            doctest::Approx(energy_of(items, state[0], std::stoi(bound))));
    }
  }
}

/// What is learned anew after an erase are the newest items, as far back as synapses can tell.
TEST_CASE("primitives/palimpsest: what is learned anew is what was learned item by item") {
  Rng rng = make_rng(2);
  constexpr std::size_t kDim = 40;
  for (const std::string bound : {"1", "3"}) {
    const Vectors items = random_signs(rng, 900, kDim);
    TestCollection memory = empty_memory(kDim, {{"BOUND", bound}});
    TestCollection anew = empty_memory(kDim, {{"BOUND", bound}});
    const Slot first = anew.add(random_signs(rng, 1, kDim)[0]);
    memory.add_all(items);
    anew.add_all(items);
    anew.erase(first);
    const Vectors cues = random_signs(rng, 8, kDim);
    for (std::size_t i = 0; i < cues.count(); ++i) {
      const Recall a = memory.recall_from({cues[i]});
      const Recall b = anew.recall_from({cues[i]});
      CHECK(a.state == b.state);
      CHECK(a.energies == b.energies);
    }
  }
}

TEST_CASE(
    "primitives/palimpsest: the newest are recalled and the oldest are not, however many came") {
  Rng rng = make_rng(3);
  constexpr std::size_t kDim = 200;
  TestCollection memory = empty_memory(kDim);
  for (const std::size_t count : {600U, 700U}) {
    const Vectors items = random_signs(rng, count, kDim);
    memory.add_all(items);
    const auto overlap_at = [&](std::size_t i) {
      return overlap(memory.recall_from({items[i]}).state, items[i]) / kDim;
    };
    double recent = 0;
    for (std::size_t age = 0; age < 4; ++age) recent += overlap_at(count - 1 - age) / 4;
    CHECK(recent > 0.85);
    double old = 0;
    for (std::size_t i = 0; i < 20; ++i) old += overlap_at(i) / 20;
    CHECK(old < 0.5);
  }
}

TEST_CASE("primitives/palimpsest: an item that is given again is the newest") {
  Rng rng = make_rng(4);
  constexpr std::size_t kDim = 120;
  TestCollection memory = empty_memory(kDim);
  const Vectors items = random_signs(rng, 400, kDim);
  memory.add_all(items);
  const Vectors lost{kDim, {items[0].begin(), items[0].end()}};
  CHECK(overlap(memory.recall_from({lost[0]}).state, lost[0]) < 0.9 * kDim);
  memory.erase(0);
  memory.add(lost[0]);
  CHECK(overlap(memory.recall_from({lost[0]}).state, lost[0]) > 0.97 * kDim);
}

TEST_CASE("primitives/palimpsest: a snapshot keeps the order, whatever the slots are") {
  Rng rng = make_rng(5);
  constexpr std::size_t kDim = 32;
  TestCollection memory = empty_memory(kDim, {{"BOUND", "1"}});
  memory.add_all(random_signs(rng, 60, kDim));
  for (Slot slot = 0; slot < 60; slot += 3) {
    memory.erase(slot);
    memory.add(random_signs(rng, 1, kDim)[0]);
  }
  const auto saved = memory.save();
  const Vectors later = random_signs(rng, 5, kDim);
  memory.add_all(later);
  TestCollection restored = empty_memory(kDim, {{"BOUND", "1"}});
  REQUIRE(restored.restore(*saved));
  restored.add_all(later);
  const Vectors cues = random_signs(rng, 10, kDim);
  for (std::size_t i = 0; i < cues.count(); ++i) {
    CHECK(memory.recall_from({cues[i]}).energies == restored.recall_from({cues[i]}).energies);
  }
}

}  // namespace
}  // namespace engram::test::palimpsest_test
