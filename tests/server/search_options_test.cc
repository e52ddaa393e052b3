// SPDX-License-Identifier: Apache-2.0
// What narrows a search: its radius, and the filters of a batch.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/metric.h"
#include "core/registry.h"
#include "server/requests/index_requests.h"
#include "server/requests/search.h"
#include "tests/server/request_fixture.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::search_options_test {
namespace {

using test::Found;
using Fixture = test::RequestFixture;
using Vector = std::vector<float>;

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message;
}

TEST_CASE_FIXTURE(Fixture, "requests/search: a filter that a command repeats is compiled once") {
  create_pair("flat");
  SearchRequest request = search_for("flat", {{1, 1}}, 1);
  REQUIRE(read_options({{"FILTER", ".a == 1"}}, request).has_value());
  FilterAdder filters(request.filters);
  for (const auto& [text, first] : std::vector<std::pair<std::string, std::size_t>>{
           {".a == 1", 0}, {".a == 2", 2}, {".a == 2", 3}, {".a == 1", 5}}) {
    REQUIRE(filters.add(text, first).has_value());
  }
  REQUIRE(request.filters.size() == 3);
  CHECK(request.filters[0].filter == request.filters[2].filter);
  CHECK(request.filters[1].filter->text() == ".a == 2");
  CHECK(request.filters[1].first == 2);
  CHECK(request.filters[2].first == 5);
}

TEST_CASE_FIXTURE(Fixture, "requests/search: the different filters of a command are bounded") {
  create_pair("flat");
  SearchRequest request = search_for("flat", {{1, 1}}, 1);
  FilterAdder filters(request.filters);
  const auto filter = [](std::size_t i) {
    std::string text = ".a == " + std::to_string(i);
    return text + std::string(Filter::kMostBytes - text.size(), ' ');
  };
  for (std::size_t i = 0; i < 16; ++i) REQUIRE(filters.add(filter(i), i).has_value());
  CHECK(error_of(filters.add("1", 16)) ==
        "the different FILTERs of a command have at most 1048576 bytes in all");
  CHECK(filters.add(filter(3), 16).has_value());
}

/// As replies print it.
std::string text_of(float number) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

TEST_CASE_FIXTURE(Fixture, "requests/search: a radius leaves those within it, for any primitive") {
  auto rng = test::make_rng(17);
  std::size_t checked = 0;
  for (const Primitive* const primitive : primitives()) {
    for (const Metric metric : kMetrics) {
      const std::string name =
          std::string(primitive->name) + "-" + std::string(metric_name(metric));
      CAPTURE(name);
      const NewIndexRequest wanted = {
          .name = name, .dim = 8, .metric = metric_name(metric), .primitive = primitive->name};
      if (!create_index(*store, wanted)) continue;
      std::vector<std::pair<std::string, Vector>> items;
      for (int i = 0; i < 80; ++i) {
        items.emplace_back(std::to_string(i), test::random_vector(8, rng));
      }
      put(name, items);
      const Vector query = test::random_vector(8, rng);
      const Found all = search(search_for(name, {query}, 80)).value().front();
      REQUIRE(!all.empty());
      std::vector<float> radii = {0, 1, 2, 1e30F, all.front().second, all.back().second};
      for (int i = 0; i < 20; ++i) {
        const float one = all[rng() % all.size()].second;
        radii.insert(radii.end(), {one, std::nextafter(one, -1e30F), std::nextafter(one, 1e30F)});
      }
      for (const float radius : radii) {
        if (radius < 0 && metric != Metric::kDot) continue;
        for (const std::size_t k : {1U, 7U, 200U}) {
          CAPTURE(radius);
          Found within = all;
          std::erase_if(within, [&](const auto& one) { return one.second > radius; });
          within.resize(std::min(within.size(), k));
          for (const bool truth : {false, true}) {
            SearchRequest request = search_for(name, {query, query}, k);
            REQUIRE(read_options({{"radius", text_of(radius)}}, request).has_value());
            request.truth = truth;
            const auto found = search(std::move(request)).value();
            CHECK(found[0] == found[1]);
            CHECK(found[0] == within);
            ++checked;
          }
        }
      }
    }
  }
  CHECK(checked > 1000);
}

TEST_CASE_FIXTURE(Fixture,
                  "requests/search: a radius of 0 finds what is equal, however it rounds") {
  for (const Metric metric : kMetrics) {
    const std::string name(metric_name(metric));
    CAPTURE(name);
    create({.name = name, .dim = 3, .metric = name, .primitive = "flat"});
    put(name,
        {{"same", {0.1F, 0.7F, 0.3F}}, {"near", {0.1F, 0.7F, 0.30001F}}, {"far", {-9, 2, 1}}});
    SearchRequest request = search_for(name, {{0.1F, 0.7F, 0.3F}}, 3);
    const Found all = search(request).value().front();
    request.radius = all[0].second;
    const Found found = search(std::move(request)).value().front();
    CHECK(found.front() == all.front());
    CHECK(found.size() < 3);
  }
}

TEST_CASE_FIXTURE(Fixture, "requests/search: what is no distance is refused as a radius") {
  create_pair("flat");
  create({.name = "dot", .dim = 2, .metric = "dot", .primitive = "flat"});
  const auto refusal = [&](const char* name, const char* radius) {
    SearchRequest request = search_for(name, {{1, 1}}, 1);
    const Status read = read_options({{"RADIUS", radius}}, request);
    return read ? error_of(search(std::move(request))) : error_of(read);
  };
  CHECK(refusal("flat", "near") == "RADIUS must be a distance, got 'near'");
  CHECK(refusal("flat", "nan") == "RADIUS must be a distance, not NaN");
  CHECK(refusal("dot", "nan") == "RADIUS must be a distance, not NaN");
  CHECK(refusal("flat", "-0.5") ==
        "RADIUS must be a distance, which under l2 is 0 or more, got -0.5");
  CHECK(refusal("flat", "-1e300").starts_with("RADIUS must be a distance, which"));
  CHECK(refusal("dot", "-1e300") == "no error");
  CHECK(refusal("flat", "1e300") == "no error");
  CHECK(refusal("flat", "inf") == "no error");
}

}  // namespace
}  // namespace engram::search_options_test
