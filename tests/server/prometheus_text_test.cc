// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/prometheus_text.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/metrics/error_counts.h"
#include "server/metrics/slow_log.h"
#include "tests/support/seed.h"

namespace engram::prometheus_text_test {
namespace {

std::string label(std::string_view value) {
  std::string labels;
  add_label(labels, "a", value);
  return labels;
}

TEST_CASE("metrics/prometheus: labels hold any bytes") {
  std::string labels;
  add_label(labels, "index", "notes");
  add_label(labels, "k", "10");
  CHECK(labels == R"(index="notes",k="10")");
  CHECK(label("a\"b\\c\nd") == R"(a="a\"b\\c\nd")");
  CHECK(label("é€😀") == "a=\"é€😀\"");
  // Not UTF-8: alone, cut off, too long, half of a pair, beyond the last.
  CHECK(label("\x80") == R"(a="\\x80")");
  CHECK(label("x\xC3") == R"(a="x\\xc3")");
  CHECK(label("\xC0\xAF") == R"(a="\\xc0\\xaf")");
  CHECK(label("\xE0\x80\x80") == R"(a="\\xe0\\x80\\x80")");
  CHECK(label("\xED\xA0\x80") == R"(a="\\xed\\xa0\\x80")");
  CHECK(label("\xF4\x90\x80\x80") == R"(a="\\xf4\\x90\\x80\\x80")");
}

TEST_CASE("metrics/prometheus: a family has a head and its samples") {
  PrometheusText text;
  text.family("some_total", "counter", "What it is.");
  text.sample({}, std::uint64_t{18446744073709551615U});
  text.sample(R"(a="b")", 0.25);
  text.sample({}, std::numeric_limits<double>::infinity());
  text.sample({}, std::numeric_limits<double>::quiet_NaN());
  CHECK(std::move(text).take() ==
        "# HELP some_total What it is.\n# TYPE some_total counter\n"
        "some_total 18446744073709551615\nsome_total{a=\"b\"} 0.25\nsome_total +Inf\n"
        "some_total NaN\n");
}

TEST_CASE("metrics/prometheus: buckets are cumulative, and end with all") {
  constexpr std::array<SecondsBound, 3> kBounds = {
      {{"1e-06", 1'000}, {"0.001", 1'000'000}, {"1", 1'000'000'000}}};
  Histogram durations;
  for (const std::uint64_t ns : {10U, 900U, 1'100U, 800'000U, 2'000'000'000U}) durations.record(ns);
  PrometheusText text;
  text.family("x", "histogram", "h");
  text.histogram(R"(a="b")", durations, kBounds);
  text.histogram({}, Histogram(), kBounds);
  const std::string told = std::move(text).take();
  CHECK(told.substr(told.find("x_bucket")) ==
        "x_bucket{a=\"b\",le=\"1e-06\"} 2\nx_bucket{a=\"b\",le=\"0.001\"} 4\n"
        "x_bucket{a=\"b\",le=\"1\"} 4\nx_bucket{a=\"b\",le=\"+Inf\"} 5\n"
        "x_sum{a=\"b\"} 2.00080201\nx_count{a=\"b\"} 5\n"
        "x_bucket{le=\"1e-06\"} 0\nx_bucket{le=\"0.001\"} 0\nx_bucket{le=\"1\"} 0\n"
        "x_bucket{le=\"+Inf\"} 0\nx_sum 0\nx_count 0\n");
}

TEST_CASE(
    "metrics/prometheus: a bound counts no more than lies below it, and what is 1.6 % below") {
  std::mt19937_64 random = test::make_rng(2);
  constexpr std::uint64_t kBound = 2'500'000;
  constexpr std::array<SecondsBound, 1> kBounds = {{{"0.0025", kBound}}};
  Histogram durations;
  std::uint64_t below = 0;
  std::uint64_t well_below = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t ns = random() % (2 * kBound);
    durations.record(ns);
    below += ns <= kBound ? 1 : 0;
    well_below += static_cast<double>(ns) < 0.984 * kBound ? 1 : 0;
  }
  PrometheusText text;
  text.family("x", "histogram", "h");
  text.histogram({}, durations, kBounds);
  const std::string told = std::move(text).take();
  const std::string head = "x_bucket{le=\"0.0025\"} ";
  const auto counted = std::stoull(told.substr(told.find(head) + head.size()));
  CHECK(counted <= below);
  CHECK(counted >= well_below);
}

TEST_CASE("metrics/slow_log: arguments are cut to 32 of 128 bytes and come back") {
  const std::string longest(70'000, 'x');
  std::vector<std::string_view> argv(40, "word");
  argv[1] = longest;
  argv[2] = {};
  const KeptArguments kept(argv, [](std::size_t i) { return i == 3; });
  const auto words = kept.words();
  REQUIRE(words.size() == 32);
  CHECK(words[0] == "word");
  CHECK(words[1] == std::string(128, 'x') + "... (69872 more bytes)");
  CHECK(words[2].empty());
  CHECK(words[3] == "(redacted)");
  CHECK(words[31] == "... (9 more arguments)");
  CHECK(KeptArguments().words().empty());
}

TEST_CASE("metrics/slow_log: no more are kept than asked for, and numbers go on") {
  SlowLog log;
  for (std::uint64_t us = 0; us < 5; ++us) log.add({.us = us}, 3);
  REQUIRE(log.calls().size() == 3);
  CHECK(log.calls().front().us == 4);
  CHECK(log.calls().back().us == 2);
  log.reset();
  log.add({}, 3);
  CHECK(log.calls().front().id == 5);
  log.add({}, 0);
  CHECK(log.calls().empty());
}

TEST_CASE("metrics/error_counts: however many words there are, they are bounded") {
  ErrorCounts errors;
  errors.add("-ERR one two\r\n");
  errors.add("-ERR\r\n");
  errors.add("MISCONF the disk");
  errors.add("-" + std::string(33, 'X') + " y");
  CHECK(errors.counts().at("ERR") == 2);
  CHECK(errors.counts().at("MISCONF") == 1);
  CHECK(errors.counts().at("OTHER") == 1);
  for (int i = 0; i < 1000; ++i) errors.add("-W" + std::to_string(i) + " x");
  CHECK(errors.counts().size() <= 129);
  CHECK(errors.counts().at("OTHER") > 800);
}

}  // namespace
}  // namespace engram::prometheus_text_test
