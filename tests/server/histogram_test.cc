// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/metrics/ticks.h"
#include "tests/support/seed.h"

namespace engram::histogram_test {
namespace {

/// Which rank a share has, as Histogram::quantile() counts.
std::uint64_t exact_quantile(const std::vector<std::uint64_t>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

TEST_CASE("metrics/histogram: quantiles of a million samples are within 1 % of exact" *
          doctest::test_suite("quality")) {
  std::mt19937_64 random = test::make_rng(1);
  const auto duration = [](double ns) {
    return static_cast<std::uint64_t>(std::clamp(ns, 0.0, static_cast<double>(Histogram::kMost)));
  };
  std::uniform_real_distribution<double> flat(0, 2e6);
  std::exponential_distribution<double> rare(1e-5);
  std::lognormal_distribution<double> skewed(11, 1.5);
  std::cauchy_distribution<double> heavy(3e5, 5e4);
  std::normal_distribution<double> fast(800, 50);
  std::normal_distribution<double> slow(9e7, 1e6);
  std::bernoulli_distribution is_slow(0.02);
  const std::vector<std::pair<std::string, std::function<double()>>> distributions = {
      {"uniform", [&] { return flat(random); }},
      {"exponential", [&] { return rare(random); }},
      {"lognormal", [&] { return skewed(random); }},
      {"cauchy", [&] { return heavy(random); }},
      {"two modes", [&] { return is_slow(random) ? slow(random) : fast(random); }},
      {"constant", [] { return 123'457.0; }},
      {"a few nanoseconds", [&] { return static_cast<double>(random() % 7); }},
  };
  constexpr std::size_t kSamples = 1'000'000;
  std::vector<std::uint64_t> samples(kSamples);
  for (const auto& [label, draw] : distributions) {
    const std::string_view name = label;
    CAPTURE(name);
    const auto histogram = std::make_unique<Histogram>();
    std::uint64_t sum = 0;
    for (std::uint64_t& sample : samples) {
      sample = duration(draw());
      sum += sample;
      histogram->record_alone(sample);
    }
    std::sort(samples.begin(), samples.end());
    CHECK(histogram->count() == kSamples);
    CHECK(histogram->sum() == sum);
    for (const double share : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      CAPTURE(share);
      const auto exact = static_cast<double>(exact_quantile(samples, share));
      CHECK(std::abs(histogram->quantile(share) - exact) <= 0.01 * exact);
    }
  }
}

TEST_CASE("metrics/histogram: buckets follow each other without a gap and hold their values") {
  for (std::size_t bucket = 0; Histogram::begin_of(bucket) < Histogram::kMost; ++bucket) {
    CHECK(Histogram::bucket_of(Histogram::begin_of(bucket)) == bucket);
    CHECK(Histogram::bucket_of(Histogram::end_of(bucket) - 1) == bucket);
    // The middle is within 0.8 % of either end.
    CHECK(Histogram::end_of(bucket) - 1 - Histogram::begin_of(bucket) <=
          Histogram::begin_of(bucket) / 64);
  }
  CHECK(Histogram::bucket_of(UINT64_MAX) == Histogram::bucket_of(Histogram::kMost));
}

TEST_CASE("metrics/histogram: several threads record without losing a value") {
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEach = 50'000;
  Histogram histogram;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&histogram, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) histogram.record((i * kThreads + t) * 17);
    });
  }
  for (std::thread& thread : threads) thread.join();
  constexpr std::uint64_t kAll = kThreads * kEach;
  CHECK(histogram.count() == kAll);
  CHECK(histogram.sum() == 17 * (kAll * (kAll - 1) / 2));
}

TEST_CASE("metrics/histogram: takes memory for what it meets, and no more than a few kilobytes") {
  Histogram histogram;
  CHECK(histogram.memory_bytes() < 400);
  histogram.record(1'000'000, 10);
  histogram.record(1'040'000);
  CHECK(histogram.memory_bytes() < 1000);
  CHECK(histogram.count() == 11);
  CHECK(histogram.sum() == 11'040'000);
  for (std::uint64_t value = 1; value != 0; value <<= 1U) histogram.record(value);
  CHECK(histogram.memory_bytes() < 20'000);
}

TEST_CASE("metrics/histogram: sums others, and forgets") {
  Histogram all;
  Histogram one;
  CHECK(all.quantile(0.5) == 0);
  all.record(10);
  one.record(1000, 3);
  all.add(one);
  CHECK(all.count() == 4);
  CHECK(all.sum() == 3010);
  CHECK(all.quantile(0.25) == 10);
  CHECK(all.quantile(0.5) == doctest::Approx(1000).epsilon(0.01));
  all.reset();
  CHECK(all.count() == 0);
  CHECK(all.sum() == 0);
  CHECK(one.count() == 3);
}

TEST_CASE("metrics/ticks: measure as the steady clock does") {
  const std::uint64_t begun_ns = steady_ns();
  const std::uint64_t begun = ticks_now();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::uint64_t ended = ticks_now();
  const auto expected = static_cast<double>(steady_ns() - begun_ns);
  CHECK(ns_between(ended, begun) == 0);
  // What comes between the two clocks can only make the ticks' share shorter.
  CHECK(static_cast<double>(ns_between(begun, ended)) <= expected * 1.001);
  CHECK(ns_between(begun, ended) >= 19'900'000);
}

}  // namespace
}  // namespace engram::histogram_test
