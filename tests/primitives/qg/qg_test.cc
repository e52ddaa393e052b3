// SPDX-License-Identifier: Apache-2.0
#include "primitives/qg/qg.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/make_index.h"
#include "core/registry.h"
#include "primitives/qg/neighbor_codes.h"
#include "primitives/qg/rotation.h"
#include "tests/support/memory_sections.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::qg::qg_test {
namespace {

using test::Rng;
using test::TestCollection;
using test::Vectors;

constexpr std::size_t kDegree = 32;

const Primitive& qg() {
  return *find_primitive("qg").value();
}

Vectors normal_vectors(Rng& rng, std::size_t count, std::size_t dim, float bias = 0) {
  std::normal_distribution<float> normal;
  Vectors vectors{dim, {}};
  for (std::size_t i = 0; i < count * dim; ++i) {
    vectors.values.push_back(normal(rng) + (i % dim < 3 ? bias : 0));
  }
  return vectors;
}

/// A store whose first row is a node with the next as neighbours.
struct Star {
  Star(const Vectors& vectors, Metric metric, std::size_t bits)
      : store(VectorStore::create(vectors.dim, metric).value()),
        kernel(make_kernel("auto", metric, vectors.dim).value()),
        neighbors(kDegree) {
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < vectors.count(); ++i) {
      slots.push_back(store->allocate().value());
      store->write(slots.back(), vectors[i]);
    }
    codes = NeighborCodes::create({*store, *kernel}, {.degree = kDegree, .bits = bits}).value();
    REQUIRE(codes->begin(slots).has_value());
    REQUIRE(codes->add_node(0).has_value());
    std::iota(neighbors.begin(), neighbors.end(), Slot{1});
    for (std::size_t i = 0; i < kDegree; ++i) codes->appended(0, i, neighbors[i]);
  }

  Query prepare(std::span<const float> vector) { return kernel->prepare(vector, storage); }
  Bound bound(Query query) const { return Bound(*kernel, query, *store); }
  std::vector<float> estimates(Query query) const {
    CodedQuery coded;
    codes->prepare(query, coded);
    std::vector<float> found(kDegree);
    codes->estimate(coded, 0, bound(query).score(0), found);
    return found;
  }

  /// Of the estimates, in units of |q - c| |o - c| / sqrt(dim), twice that under l2.
  std::vector<double> errors(std::span<const float> vector) {
    const Query query = prepare(vector);
    const std::vector<float> found = estimates(query);
    std::vector<float> truth(kDegree);
    bound(query).gather(neighbors, truth);
    const auto to_query = distance(row(0), reinterpret_cast<const float*>(query.data));
    const double unit = (store->metric() == Metric::kL2 ? 2 : 1) * to_query /
                        std::sqrt(static_cast<double>(store->dim()));
    std::vector<double> errors;
    for (std::size_t n = 0; n < kDegree; ++n) {
      const double error = double{found[n]} - double{truth[n]};
      errors.push_back(error / (unit * distance(row(0), row(neighbors[n]))));
    }
    return errors;
  }
  const float* row(Slot slot) const { return reinterpret_cast<const float*>(store->row(slot)); }
  double distance(const float* a, const float* b) const {
    double square = 0;
    for (std::size_t j = 0; j < store->dim(); ++j)
      square += std::pow(double{a[j]} - double{b[j]}, 2);
    return std::sqrt(square);
  }

  std::unique_ptr<VectorStore> store;
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<NeighborCodes> codes;
  std::vector<Slot> neighbors;
  AlignedBuffer storage;
};

TEST_CASE("qg: a rotation keeps lengths and products, in any dimension") {
  auto rng = test::make_rng(221);
  for (const std::size_t dim : {1U, 16U, 17U, 64U, 100U, 784U, 1024U, 1536U}) {
    CAPTURE(dim);
    const Rotation rotation(dim, rng());
    REQUIRE(rotation.size() % 16 == 0);
    Vectors vectors = normal_vectors(rng, 2, dim);
    double before[3] = {};
    double after[3] = {};
    std::vector<float> turned[2];
    for (std::size_t i = 0; i < 2; ++i) {
      turned[i].assign(vectors[i].begin(), vectors[i].end());
      turned[i].resize(rotation.size());
      rotation.apply(turned[i]);
    }
    for (std::size_t j = 0; j < rotation.size(); ++j) {
      const double a = j < dim ? double{vectors[0][j]} : 0;
      const double b = j < dim ? double{vectors[1][j]} : 0;
      before[0] += a * a;
      before[1] += b * b;
      before[2] += a * b;
      after[0] += double{turned[0][j]} * turned[0][j];
      after[1] += double{turned[1][j]} * turned[1][j];
      after[2] += double{turned[0][j]} * turned[1][j];
    }
    const double scale = std::max(before[0], before[1]) + 1e-6;
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::abs(before[i] - after[i]) < 1e-4 * scale);
  }
}

/// The error of an estimate, as a share of |q - c| |o - c| / sqrt(dim), has this deviation: that of
/// codes of normally distributed components with so many bits [Max1960], s = sqrt(d / (1 - d)).
TEST_CASE("qg: estimates are right on average, and the closer the more bits there are") {
  constexpr double kDeviations[] = {0, 0.756, 0.367, 0.197, 0.108};
  constexpr double kQueryRounding = 0.06;
  constexpr std::size_t kDim = 256;
  constexpr std::size_t kStars = 24;
  constexpr std::size_t kQueries = 5;
  auto rng = test::make_rng(222);
  for (const Metric metric : kMetrics) {
    for (std::size_t bits = 1; bits <= kMaxBits; ++bits) {
      CAPTURE(std::string(metric_name(metric)));
      CAPTURE(bits);
      double sum = 0;
      double squares = 0;
      for (std::size_t i = 0; i < kStars; ++i) {
        Star star(normal_vectors(rng, kDegree + 1, kDim), metric, bits);
        const Vectors queries = normal_vectors(rng, kQueries, kDim);
        for (std::size_t j = 0; j < kQueries; ++j) {
          for (const double error : star.errors(queries[j])) {
            sum += error;
            squares += error * error;
          }
        }
      }
      const double count = kStars * kQueries * kDegree;
      const double deviation = std::sqrt(squares / count);
      INFO("mean error " << sum / count << ", deviation " << deviation);
      CHECK(std::abs(sum / count) < 0.25 * kDeviations[bits]);
      CHECK(deviation < 1.25 * kDeviations[bits] + kQueryRounding);
      CHECK(deviation > 0.75 * kDeviations[bits]);
    }
  }
}

TEST_CASE("qg: what all vectors have in common costs estimates nothing" *
          doctest::test_suite("quality")) {
  constexpr std::size_t kDim = 256;
  Rng rng(5);
  for (const Metric metric : kMetrics) {
    CAPTURE(std::string(metric_name(metric)));
    TestCollection collection(qg(), metric, kDim, {{"EF_CONSTRUCTION", "60"}});
    collection.add_all(normal_vectors(rng, 3000, kDim, 80));
    const Vectors queries = normal_vectors(rng, 40, kDim, 80);
    const double wide = collection.recall(queries, {.k = 1, .ef = 60});
    INFO("recall@1 at ef 60: " << wide);
    CHECK(wide > 0.5);  // 256 independent components: the nearest is hardly nearer than others
  }
}

/// Whether all nodes have the codes that fresh ones would have.
bool are_codes_fresh(TestCollection& collection, std::size_t bits, std::span<const Slot> first) {
  const auto& index = dynamic_cast<const Qg&>(collection.index());
  const IndexContext context{collection.store(), collection.kernel()};
  const auto fresh =
      NeighborCodes::create(context, {.degree = kDegree, .bits = bits, .seed = 42}).value();
  REQUIRE(fresh->begin(first).has_value());
  const Query query = collection.kernel().from_row(collection.store().row(first[0]),
                                                   collection.scratch().get<AlignedBuffer>());
  CodedQuery coded;
  fresh->prepare(query, coded);
  std::vector<float> estimates(kDegree);
  std::vector<float> expected(kDegree);
  bool are_fresh = true;
  for (const Slot node : collection.held()) {
    REQUIRE(fresh->add_node(node).has_value());
    const hnsw::LinkList links = index.graph().links(node, 0);
    const std::size_t count = links.size();
    for (std::size_t i = 0; i < count; ++i) fresh->appended(node, i, links[i]);
    index.codes().estimate(coded, node, 1, estimates);
    fresh->estimate(coded, node, 1, expected);
    for (std::size_t i = 0; i < count; ++i) are_fresh &= estimates[i] == expected[i];
  }
  return are_fresh;
}

TEST_CASE("qg: codes follow links through inserts, erases, reclaims and snapshots") {
  Rng rng(6);
  for (const std::size_t bits : {1U, 3U}) {
    CAPTURE(bits);
    const std::string text = std::to_string(bits);
    TestCollection collection(qg(), Metric::kL2, 24, {{"EF_CONSTRUCTION", "50"}, {"BITS", text}});
    collection.add_all(test::clustered_vectors(rng, 1500, 24));
    std::vector<Slot> first(hnsw::kGraphFrom);
    std::iota(first.begin(), first.end(), Slot{0});
    CHECK(are_codes_fresh(collection, bits, first));
    for (Slot slot = hnsw::kGraphFrom; slot < 1200; slot += 2) collection.erase(slot);
    collection.reclaim();
    collection.add_all(test::clustered_vectors(rng, 300, 24));
    CHECK(are_codes_fresh(collection, bits, first));
    const Vectors queries = test::clustered_vectors(rng, 20, 24);
    const SearchParams walk{.k = 5, .ef = 16};
    std::vector<std::vector<Hit>> before;
    for (std::size_t i = 0; i < queries.count(); ++i) {
      before.push_back(collection.search(queries[i], walk));
    }
    REQUIRE(collection.restore(*collection.save()).has_value());
    CHECK(are_codes_fresh(collection, bits, first));
    for (std::size_t i = 0; i < queries.count(); ++i) {
      CHECK(collection.search(queries[i], walk) == before[i]);
    }
  }
}

TEST_CASE("qg: the same inserts make the same snapshot") {
  Rng rng(7);
  const Vectors vectors = test::clustered_vectors(rng, 1000, 40);
  std::unique_ptr<test::Saved> saved[2];
  for (auto& each : saved) {
    TestCollection collection(qg(), Metric::kCosine, 40, {{"EF_CONSTRUCTION", "50"}});
    collection.add_all(vectors);
    each = collection.save();
  }
  CHECK(saved[0]->index == saved[1]->index);
}

TEST_CASE("qg: a walk answers as many as are wanted, however few it keeps") {
  Rng rng(8);
  TestCollection collection(qg(), Metric::kL2, 16, {{"EF_CONSTRUCTION", "50"}});
  collection.add_all(test::clustered_vectors(rng, 4000, 16));
  const Vectors queries = test::clustered_vectors(rng, 50, 16);
  for (std::size_t i = 0; i < queries.count(); ++i) {
    CHECK(collection.search(queries[i], {.k = 10, .ef = 10}).size() == 10);
  }
  CHECK(collection.recall(queries, {.k = 10, .ef = 10}) > 0.25);
}

TEST_CASE("qg: vectors whose squared distances are no float32 are told apart") {
  Rng rng(9);
  Vectors vectors = test::clustered_vectors(rng, 3000, 16);
  for (float& value : vectors.values) value *= 1e-25F;
  TestCollection collection(qg(), Metric::kL2, 16, {{"EF_CONSTRUCTION", "50"}});
  collection.add_all(vectors);
  const Vectors queries{16,
                        std::vector<float>(vectors.values.begin(), vectors.values.begin() + 800)};
  CHECK(collection.recall(queries, {.k = 1, .ef = 20}) > 0.9);
}

TEST_CASE("qg: under dot the length of a query changes nothing" * doctest::test_suite("quality")) {
  Rng rng(13);
  TestCollection collection(qg(), Metric::kDot, 64, {{"EF_CONSTRUCTION", "60"}});
  collection.add_all(normal_vectors(rng, 3000, 64));
  const Vectors queries = normal_vectors(rng, 60, 64);
  const SearchParams walk{.k = 10, .ef = 30};
  const double recall = collection.recall(queries, walk);
  for (const float factor : {0.01F, 100.0F}) {
    CAPTURE(factor);
    Vectors scaled = queries;
    for (float& value : scaled.values) value *= factor;
    INFO("recall " << recall);
    CHECK(std::abs(collection.recall(scaled, walk) - recall) < 0.02);
  }
}

/// Changes a link of a node on level 0, as saved.
void set_link(test::Saved& saved, Slot node, std::size_t i, Slot link) {
  auto& base = saved.index["hnsw.base"];
  std::memcpy(base.data() + (std::size_t{node} * kDegree + i) * sizeof link, &link, sizeof link);
}

TEST_CASE("qg: what damaged links lead to is no answer unless it is an item") {
  Rng rng(10);
  constexpr Slot kHole = 700;
  TestCollection collection(qg(), Metric::kL2, 16, {{"EF_CONSTRUCTION", "50"}});
  collection.add_all(test::clustered_vectors(rng, 3000, 16));
  collection.erase(kHole);
  collection.reclaim();
  const auto saved = collection.save();
  for (const Slot node : collection.held()) set_link(*saved, node, 0, kHole);
  REQUIRE(collection.restore(*saved).has_value());
  const Vectors queries = test::clustered_vectors(rng, 50, 16);
  for (std::size_t i = 0; i < queries.count(); ++i) {
    bool are_items = true;
    for (const Hit& hit : collection.search(queries[i], {.k = 12, .ef = 12})) {
      are_items &= collection.held().contains(hit.slot);
    }
    CHECK(are_items);
  }
  const std::vector<float> zero(16);  // what lies in the hole
  for (const Hit& hit : collection.search(zero, {.k = 12, .ef = 12})) CHECK(hit.slot != kHole);
}

TEST_CASE("qg: nothing is found by way of a stranger") {
  Rng rng(11);
  constexpr Slot kOwn = 700;
  TestCollection collection(qg(), Metric::kL2, 16, {{"EF_CONSTRUCTION", "50"}});
  const Vectors vectors = test::clustered_vectors(rng, 3000, 16);
  collection.add_all(vectors);
  const auto saved = collection.save();
  for (const Slot node : collection.held()) {  // the only link of all others leads to it
    for (std::size_t i = 0; i < kDegree && node != kOwn; ++i) {
      set_link(*saved, node, i, i == 0 ? kOwn : kNoSlot);
    }
  }
  REQUIRE(collection.restore(*saved).has_value());
  auto right = collection.expected(vectors[kOwn], 13);
  REQUIRE(right.front().slot == kOwn);
  right.erase(right.begin());
  std::vector<Hit> hits;
  REQUIRE(collection.index().search_as_stranger(kOwn, collection.prepare(vectors[kOwn]),
                                                {.k = 12, .ef = 12}, collection.scratch(), hits));
  CHECK(hits == right);  // of a scan: a walk gets nowhere
}

TEST_CASE("qg: a mean that is not finite is refused, and none is made") {
  Rng rng(12);
  TestCollection collection(qg(), Metric::kL2, 16, {{"EF_CONSTRUCTION", "50"}});
  collection.add_all(test::clustered_vectors(rng, 400, 16));
  const auto saved = collection.save();
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -1e30F}) {
    std::memcpy(saved->index["qg.mean"].data() + 8, &bad, sizeof bad);
    const Status restored = collection.restore(*saved);
    REQUIRE(!restored);
    CHECK(restored.error().code == ErrorCode::kDataLoss);
  }
  Vectors vectors = normal_vectors(rng, kDegree + 1, 16);
  vectors.values.back() = std::numeric_limits<float>::quiet_NaN();
  Star star(vectors, Metric::kL2, 1);
  const auto estimates = star.estimates(star.prepare(vectors[1]));
  for (std::size_t i = 0; i + 1 < kDegree; ++i) CHECK(std::isfinite(estimates[i]));
}

TEST_CASE("qg: dimensions of which a row of codes is too large are refused") {
  const auto refusal = [](std::size_t dim, const std::vector<OptionText>& given) {
    const IndexSpec spec{.dim = dim,
                         .metric = Metric::kL2,
                         .primitive = &qg(),
                         .options = Options::parse(qg().create_options, given).value()};
    const auto made = make_index(spec);
    return made ? std::string() : made.error().message;
  };
  CHECK(refusal(32'752, {{"DEGREE", "128"}, {"BITS", "4"}}).empty());
  CHECK(refusal(32'753, {{"DEGREE", "128"}, {"BITS", "4"}}) ==
        "primitive qg takes vectors of at most 32752 dimensions with these options, got 32753");
  for (const char* const degree : {"32", "64", "96", "128"}) {
    for (const char* const bits : {"1", "2", "3", "4"}) {
      CAPTURE(degree);
      CAPTURE(bits);
      const std::string refused = refusal(kMaxDimension, {{"DEGREE", degree}, {"BITS", bits}});
      CHECK(refused.empty() == (std::stoul(degree) * std::stoul(bits) < 256));
    }
  }
}

}  // namespace
}  // namespace engram::qg::qg_test
