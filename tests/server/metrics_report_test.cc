// SPDX-License-Identifier: Apache-2.0
#include "server/commands/metrics_report.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "server/engine/persistence.h"
#include "server/requests/index_info.h"
#include "tests/server/services_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace engram::metrics_report_test {
namespace {

class Fixture : public test::ServicesFixture {
 public:
  explicit Fixture(StoreOptions options = {.workers = 2}) : ServicesFixture(std::move(options)) {}

  std::string text() { return prometheus_text(collect_metrics(services)); }
  std::string json() { return metrics_json(collect_metrics(services)); }
};

bool contains(const std::string& text, std::string_view line) {
  return text.find("\n" + std::string(line) + "\n") != std::string::npos;
}

TEST_CASE_FIXTURE(Fixture, "commands/metrics_report: what was done with an index is told") {
  create_pair("flat");
  REQUIRE(search(search_for("flat", {{0, 1}, {3, 0}}, 1)).has_value());
  stats.calls.count_call(command_table().number_of("config|get"), 2'000, true, true);
  stats.calls.count_rejection(command_table().number_of("get"));
  stats.count_error("-ERR it is so");
  const std::string told = text();
  const std::string labels = R"({index="flat",primitive="flat"})";
  CHECK(contains(told, "engram_search_duration_seconds_count" + labels + " 2"));
  CHECK(contains(told, "engram_insert_duration_seconds_count" + labels + " 2"));
  CHECK(contains(told, "# TYPE engram_recall_duration_seconds histogram"));
  CHECK(told.find("engram_recall_duration_seconds_count") == std::string::npos);
  CHECK(contains(told, "engram_index_items" + labels + " 2"));
  CHECK(told.find(R"(engram_index_memory_bytes{index="flat",primitive="flat",part="vectors"})") !=
        std::string::npos);
  CHECK(contains(told, R"(engram_commands_total{command="config|get"} 1)"));
  CHECK(contains(told, R"(engram_commands_failed_total{command="config|get"} 1)"));
  CHECK(contains(told, R"(engram_commands_rejected_total{command="get"} 1)"));
  CHECK(contains(told,
                 R"(engram_command_duration_seconds_bucket{command="config|get",le="5e-06"} 1)"));
  CHECK(contains(told, R"(engram_error_replies_total{error="ERR"} 1)"));
  CHECK(contains(told, "engram_connected_clients 7"));
  CHECK(contains(told, "engram_indexes 1"));
  CHECK(told.find("\nprocess_resident_memory_bytes ") != std::string::npos);
  CHECK(told.find("engram_journal") == std::string::npos);  // everything is in memory
  CHECK(json().starts_with(
      R"({"total_queries":2,"total_inserts":2,"total_deletes":0,"avg_latency_us":)"));
  // What an index that has gone has done counts on in all.
  store->keyspace().erase("flat");
  CHECK(text().find("index=") == std::string::npos);
  CHECK(json().starts_with(R"({"total_queries":2,"total_inserts":2,)"));
}

TEST_CASE_FIXTURE(Fixture, "commands/metrics_report: memory is told by part, as VINFO does") {
  create_pair("flat");
  CHECK(text().find(R"(part="bookkeeping"})") != std::string::npos);
  const auto facts = ask<std::vector<Fact>>(InfoRequest{.index = index("flat")}).value();
  const auto bytes_of = [&facts](std::string_view name) {
    const auto found = std::find_if(facts.begin(), facts.end(),
                                    [name](const Fact& fact) { return fact.name == name; });
    REQUIRE(found != facts.end());
    return std::stoul(found->value);
  };
  CHECK(bytes_of("vectors-bytes") + bytes_of("index-bytes") + bytes_of("bookkeeping-bytes") +
            bytes_of("attributes-bytes") + bytes_of("attribute-columns-bytes") +
            bytes_of("strengths-bytes") ==
        bytes_of("memory-bytes"));
}

TEST_CASE_FIXTURE(Fixture, "commands/metrics_report: a scrape of however many indexes is bounded") {
  constexpr std::size_t kIndexes = 200;
  for (std::size_t i = 0; i < kIndexes; ++i) {
    const std::string name = std::to_string(i) + std::string(60'000, 'x');
    REQUIRE(create_index(*store, {.name = name, .dim = 2, .primitive = "flat"}));
  }
  const std::string told = text();
  CHECK(told.size() < 70'000'000);
  CHECK(contains(told, "engram_indexes 200"));
  const std::string_view untold = "\nengram_indexes_untold ";
  REQUIRE(told.find(untold) != std::string::npos);
  const std::size_t left_out = std::stoul(told.substr(told.find(untold) + untold.size()));
  std::size_t items = 0;
  for (std::size_t at = 0; (at = told.find("\nengram_index_items{", at)) != std::string::npos;
       ++at) {
    ++items;
  }
  CHECK(left_out > 0);
  CHECK(items + left_out == kIndexes);
}

TEST_CASE("commands/metrics_report: a start counts nothing of what it repeats") {
  test::TemporaryDirectory directory;
  {
    Fixture first({.directory = directory.path(), .fsync = FsyncPolicy::kAlways, .workers = 2});
    first.create_pair("hnsw");
    const std::string told = first.text();
    CHECK(
        contains(told, R"(engram_insert_duration_seconds_count{index="hnsw",primitive="hnsw"} 2)"));
    CHECK(contains(told, "engram_journal_healthy 1"));
    CHECK(told.find("\nengram_journal_fsync_duration_seconds_bucket{le=\"+Inf\"} ") !=
          std::string::npos);
    first.store->persistence()->seal();
    REQUIRE(first.store->close().has_value());
  }
  Fixture again({.directory = directory.path(), .workers = 2});
  CHECK(again.index("hnsw").collection->size() == 2);
  CHECK(again.json().starts_with(R"({"total_queries":0,"total_inserts":0,)"));
  CHECK(again.text().find("engram_insert_duration_seconds_count{") == std::string::npos);
  CHECK(again.index("hnsw").collection->series().structure_bytes() > 0);
  again.put("hnsw", {{"c", {1, 1}}});
  CHECK(again.json().starts_with(R"({"total_queries":0,"total_inserts":1,)"));
}

TEST_CASE_FIXTURE(Fixture,
                  "commands/metrics_report: a thousand indexes take the loop less than 2 ms" *
                      doctest::test_suite("long")) {
  using Clock = std::chrono::steady_clock;
  constexpr int kIndexes = 1000;
  std::mt19937_64 random = test::make_rng(3);
  std::lognormal_distribution<double> ns(11, 1);
  for (int i = 0; i < kIndexes; ++i) {
    const std::string name = "collection-" + std::to_string(i);
    create({.name = name, .dim = 2, .metric = "l2", .primitive = "flat"});
    IndexSeries& series = index(name).collection->series();
    for (int n = 0; n < 100; ++n) {
      series.record(IndexWork::kSearch, static_cast<std::uint64_t>(ns(random)));
      series.record(IndexWork::kInsert, static_cast<std::uint64_t>(ns(random)));
    }
  }
  Clock::duration collecting = Clock::duration::max();
  Clock::duration rendering = Clock::duration::max();
  std::size_t bytes = 0;
  for (int i = 0; i < 50; ++i) {
    const auto begun = Clock::now();
    const MetricsFacts facts = collect_metrics(services);
    const auto collected = Clock::now();
    bytes = prometheus_text(facts).size();
    const auto rendered = Clock::now();
    collecting = std::min(collecting, collected - begun);
    rendering = std::min(rendering, rendered - collected);
  }
  const auto us = [](Clock::duration time) { return time / std::chrono::microseconds(1); };
  MESSAGE("on the loop: " << us(collecting) << " us, on a worker: " << us(rendering) << " us for "
                          << bytes << " bytes");
  CHECK(us(collecting) < 2000);
}

}  // namespace
}  // namespace engram::metrics_report_test
