// SPDX-License-Identifier: Apache-2.0
// Groups against the plainest way to find them, in float64.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/groups/grouping.h"
#include "core/groups/prototype.h"
#include "core/hash.h"
#include "core/vector_store.h"
#include "tests/support/seed.h"
#include "tests/support/vectors.h"

namespace engram::test::groups_test {
namespace {

/// Rows in a store, and what is to be grouped of them.
struct Items {
  Items(const Vectors& vectors, Metric metric, Element element = Element::kF32)
      : store(std::move(*VectorStore::create(vectors.dim, metric, element))),
        grouped{.rows = {*store, {}}, .log_weights = {}, .identities = {}} {
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < vectors.count(); ++i) {
      slots.push_back(*store->allocate());
      store->write(slots.back(), vectors[i]);
      grouped.log_weights.push_back(0);
      grouped.identities.push_back(mix(i));
    }
    grouped.rows = {*store, slots};
  }

  std::vector<double> row(std::size_t item) const {
    AlignedBuffer buffer;
    const auto* const values = reinterpret_cast<const float*>(
        grouped.rows.at(item, buffer.reserve(grouped.rows.row_bytes())));
    return {values, values + grouped.rows.dim()};
  }

  std::unique_ptr<VectorStore> store;
  GroupedItems grouped;
};

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

std::vector<std::uint32_t> group(const Items& items, const GroupingParams& params,
                                 const std::string& kernel = "auto") {
  const auto grouping = make_grouping(params, items.grouped, kernel);
  REQUIRE(grouping.has_value());
  std::size_t progress = 0;
  while ((*grouping)->step()) {
    CHECK((*grouping)->progress() >= progress);
    progress = (*grouping)->progress();
    CHECK(progress <= (*grouping)->progress_end());
  }
  return (*grouping)->take_groups();
}

std::vector<std::vector<double>> rows_of(const Items& items) {
  std::vector<std::vector<double>> rows;
  for (std::size_t i = 0; i < items.grouped.rows.size(); ++i) rows.push_back(items.row(i));
  return rows;
}

std::vector<std::uint32_t> lead(const std::vector<std::vector<double>>& rows, double radius) {
  std::vector<std::size_t> seeds;
  std::vector<std::uint32_t> labels;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::size_t nearest = seeds.size();
    double least = radius;
    for (std::size_t s = 0; s < seeds.size(); ++s) {
      const double apart = distance(rows[i], rows[seeds[s]]);
      if (apart > least || (apart == least && nearest != seeds.size())) continue;
      least = apart;
      nearest = s;
    }
    if (nearest == seeds.size()) seeds.push_back(i);
    labels.push_back(static_cast<std::uint32_t>(nearest));
  }
  return labels;
}

std::vector<double> mean_of(const std::vector<std::vector<double>>& rows,
                            const std::vector<double>& log_weights,
                            const std::vector<std::size_t>& members) {
  std::vector<double> mean(rows.front().size());
  double total = 0;
  for (const std::size_t item : members) total += std::exp(log_weights[item]);
  for (const std::size_t item : members) {
    for (std::size_t d = 0; d < mean.size(); ++d) {
      mean[d] += rows[item][d] * std::exp(log_weights[item]) / total;
    }
  }
  return mean;
}

std::vector<std::uint32_t> shift(const std::vector<std::vector<double>>& rows,
                                 const std::vector<double>& log_weights, double radius) {
  std::vector<std::vector<std::size_t>> supports;
  std::vector<std::uint32_t> labels;
  for (const auto& row : rows) {
    std::vector<double> state = row;
    std::vector<std::size_t> support;
    for (int step = 0; step < 100; ++step) {
      std::vector<std::size_t> near;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const double apart = distance(state, rows[i]);
        if (apart < radius || apart == 0) near.push_back(i);
      }
      if (near == support) break;
      support = near;
      state = mean_of(rows, log_weights, support);
    }
    const auto found = std::find(supports.begin(), supports.end(), support);
    labels.push_back(static_cast<std::uint32_t>(found - supports.begin()));
    if (found == supports.end()) supports.push_back(support);
  }
  return labels;
}

constexpr GroupMethod kMethods[] = {GroupMethod::kLeader, GroupMethod::kMeanShift,
                                    GroupMethod::kKMeans};

TEST_CASE("core/groups: leaders are those of the plainest scan") {
  auto rng = make_rng(110);
  for (const std::size_t dim : {1U, 7U, 33U, 100U}) {
    for (const Metric metric : kMetrics) {
      for (const double radius : {0.1, 0.5, 1.0}) {
        const Items items(clustered_vectors(rng, 700, dim), metric);
        CHECK(group(items, {.radius = radius}) == lead(rows_of(items), radius));
      }
    }
  }
}

TEST_CASE("core/groups: rows far from the origin, tiny and huge, and codes are told apart") {
  auto rng = make_rng(111);
  for (const double scale : {1e-20, 1.0, 1e15}) {
    for (const double offset : {0.0, 300.0}) {
      Vectors vectors = clustered_vectors(rng, 400, 48);
      for (float& value : vectors.values) {
        value = static_cast<float>((double{value} + offset) * scale);
      }
      const Items items(vectors, Metric::kL2);
      CHECK(group(items, {.radius = 0.8 * scale}) == lead(rows_of(items), 0.8 * scale));
    }
  }
  const Items coded(clustered_vectors(rng, 400, 48), Metric::kL2, Element::kSq8);
  CHECK(group(coded, {.radius = 0.8}) == lead(rows_of(coded), 0.8));
}

TEST_CASE("core/groups: a step is short however many seeds lie nearly as near") {
  auto rng = make_rng(119);
  std::normal_distribution<float> normal;
  Vectors vectors{512, std::vector<float>(std::size_t{1000} * 512)};
  for (float& value : vectors.values) value = normal(rng);
  const Items items(vectors, Metric::kL2);
  const auto grouping = make_grouping({.radius = 25}, items.grouped, "auto");
  REQUIRE(grouping.has_value());
  int steps = 1;  // 499,500 pairs are measured, and the sketches of none tell it apart
  while ((*grouping)->step()) ++steps;
  CHECK(steps > 30);
  const auto labels = (*grouping)->take_groups();
  CHECK(std::set(labels.begin(), labels.end()).size() == 1000);
}

TEST_CASE("core/groups: mean shift comes to rest where the plainest does") {
  auto rng = make_rng(112);
  for (const std::size_t dim : {2U, 40U}) {
    for (const double radius : {0.3, 0.6, 1.1}) {
      Items items(clustered_vectors(rng, 250, dim), Metric::kL2);
      for (double& weight : items.grouped.log_weights) {
        weight = static_cast<double>(rng() % 100) / 30;
      }
      CHECK(group(items, {.method = GroupMethod::kMeanShift, .radius = radius}) ==
            shift(rows_of(items), items.grouped.log_weights, radius));
    }
  }
}

TEST_CASE("core/groups: in the end of kmeans nearly every item is with the nearest mean") {
  auto rng = make_rng(113);
  for (const std::size_t clusters : {0U, 1U, 12U, 5000U}) {
    const Items items(clustered_vectors(rng, 600, 40), Metric::kL2);
    const GroupingParams params = {
        .method = GroupMethod::kKMeans, .radius = 0.9, .clusters = clusters};
    const auto labels = group(items, params);
    CHECK(group(items, params) == labels);
    CHECK(in_order_of_first(labels) == labels);
    const auto rows = rows_of(items);
    const auto members = members_of(labels);
    if (clusters == 1) CHECK(members.size() == 1);
    if (clusters == 5000) CHECK(members.size() == 600);
    std::vector<std::vector<double>> means;
    for (const auto& each : members) {
      means.push_back(mean_of(rows, items.grouped.log_weights, {each.begin(), each.end()}));
    }
    std::size_t strays = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (const auto& mean : means) {
        if (distance(rows[i], mean) < distance(rows[i], means[labels[i]]) - 1e-5) {
          ++strays;
          break;
        }
      }
    }
    CHECK(strays <= 30);
  }
}

TEST_CASE("core/groups: radius 0 groups what is the same, whatever the method") {
  auto rng = make_rng(114);
  for (const GroupMethod method : kMethods) {
    for (const Metric metric : kMetrics) {
      Vectors vectors = uniform_vectors(rng, 40, 33);
      const std::vector<float> originals = vectors.values;
      for (int copy = 0; copy < 3; ++copy) {
        vectors.values.insert(vectors.values.end(), originals.begin(), originals.end());
      }
      // As near as float32 has it, and not the same.
      vectors.values[0] = std::nextafter(vectors.values[0], 2.0F);
      const Items items(vectors, metric);
      const auto labels = group(items, {.method = method, .radius = 0});
      const auto rows = rows_of(items);
      for (std::size_t i = 0; i < labels.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          CHECK((labels[i] == labels[j]) == (rows[i] == rows[j]));
        }
      }
    }
  }
}

TEST_CASE("core/groups: nothing, one, and zeros are grouped, too") {
  for (const GroupMethod method : kMethods) {
    const GroupingParams params = {.method = method, .radius = 1};
    CHECK(group(Items({3, {}}, Metric::kL2), params).empty());
    CHECK(group(Items({3, {1, 2, 3}}, Metric::kL2), params) == std::vector<std::uint32_t>{0});
    CHECK(group(Items(equal_vectors(5, 40, 0), Metric::kCosine), params) ==
          std::vector<std::uint32_t>(5));
  }
  const Items items({1, {0}}, Metric::kL2);
  for (const double radius : {-1.0, std::nan(""), HUGE_VAL}) {
    CHECK_FALSE(make_grouping({.radius = radius}, items.grouped, "auto").has_value());
  }
}

TEST_CASE("core/groups: a centroid is the weighted mean, of length one under cosine") {
  auto rng = make_rng(115);
  for (const Metric metric : kMetrics) {
    Items items(uniform_vectors(rng, 20, 24), metric);
    for (double& weight : items.grouped.log_weights) weight = static_cast<double>(rng() % 9) - 2000;
    std::vector<std::uint32_t> members(20);
    std::iota(members.begin(), members.end(), 0U);
    const auto maker = PrototypeMaker::create(items.grouped, "auto");
    const Prototype prototype = (*maker)->make(members, Keep::kCentroid);
    std::vector<double> shifted = items.grouped.log_weights;
    for (double& weight : shifted) weight += 2000;
    const auto rows = rows_of(items);
    auto mean = mean_of(rows, shifted, {members.begin(), members.end()});
    double radius = 0;
    double variance = 0;
    double total = 0;
    for (const std::uint32_t item : members) {
      radius = std::max(radius, distance(rows[item], mean));
      variance += std::exp(shifted[item]) * std::pow(distance(rows[item], mean), 2);
      total += std::exp(shifted[item]);
    }
    CHECK(prototype.radius == doctest::Approx(radius));
    CHECK(prototype.variance == doctest::Approx(variance / total));
    const double length = distance(mean, std::vector<double>(24));
    CHECK(prototype.mean_length == doctest::Approx(length));
    REQUIRE(prototype.vector.size() == 24);
    CHECK(prototype.kept == 0);
    for (std::size_t d = 0; d < 24; ++d) {
      CHECK(prototype.vector[d] ==
            doctest::Approx(mean[d] / (metric == Metric::kCosine ? length : 1)));
    }
  }
}

TEST_CASE("core/groups: a medoid is the member nearest to the mean, and stays as it is") {
  const Items items({1, {0, 10, 4, 5}}, Metric::kL2);
  const auto maker = PrototypeMaker::create(items.grouped, "auto");
  const std::vector<std::uint32_t> members = {0, 1, 2, 3};
  const Prototype prototype = (*maker)->make(members, Keep::kMedoid);
  CHECK(prototype.vector.empty());
  CHECK(prototype.kept == 3);
  CHECK(prototype.radius == 5);
  CHECK(prototype.variance ==
        doctest::Approx((4.75 * 4.75 + 5.25 * 5.25 + 0.75 * 0.75 + 0.0625) / 4));
}

TEST_CASE("core/groups: of rows that are the same the first stays as it is") {
  const Items items(equal_vectors(3, 7, 0.1F), Metric::kL2);
  const auto maker = PrototypeMaker::create(items.grouped, "auto");
  const std::vector<std::uint32_t> members = {0, 1, 2};
  const Prototype prototype = (*maker)->make(members, Keep::kCentroid);
  CHECK(prototype.vector.empty());
  CHECK(prototype.kept == 0);
  CHECK(prototype.radius == 0);
  CHECK(prototype.variance == 0);
}

}  // namespace
}  // namespace engram::test::groups_test
