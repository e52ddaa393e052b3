// SPDX-License-Identifier: Apache-2.0
#include "core/kernel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/kernels/f32_kernel.h"
#include "core/row.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::kernel_test {
namespace {

using test::random_vector;
using test::RowArray;
using test::same_bits;
using test::tested_kernels;

constexpr std::size_t kRows = 65;
constexpr std::size_t kBatchSizes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 65};
constexpr std::size_t kMisalignments[] = {0, 4, 20, 60};  // bytes

std::vector<std::size_t> tested_dims() {
  std::vector<std::size_t> dims(257);
  std::iota(dims.begin(), dims.end(), std::size_t{1});
  for (const std::size_t dim : {384U, 768U, 784U, 1536U}) dims.push_back(dim);
  return dims;
}

std::unique_ptr<Kernel> kernel_of(const std::string& name, Metric metric, std::size_t dim) {
  auto kernel = make_kernel(name, metric, dim);
  REQUIRE(kernel.has_value());
  return std::move(*kernel);
}

/// One query and kRows rows, and what the oracle says of them.
struct Problem {
  Problem(Metric metric_, std::size_t dim_, std::mt19937_64& rng)
      : metric(metric_), dim(dim_), query(random_vector(dim_, rng)), rows(dim_, kRows) {
    for (std::size_t i = 0; i < kRows; ++i)
      encode_row(metric, random_vector(dim, rng), rows.row(i));
    const auto oracle = kernel_of("scalar", metric, dim);
    AlignedBuffer storage;
    const Query prepared = oracle->prepare(query, storage);
    oracle->scan(prepared, rows.row(0), scores);
    for (std::size_t i = 0; i < kRows; ++i) bounds[i] = error_bound(prepared.data, rows.row(i));
  }

  /// What rounding may add up to (Higham 2002, 3.1): gamma_n times the sum of the absolute terms,
  /// where n is the longest chain of roundings that one term goes through in the order that
  /// f32-inl.h states. That is half of the padded dimension for a target of one lane; and a few
  /// for the difference, its square, the sums of accumulators and lanes, and the oracle's result.
  double error_bound(const std::byte* q_bytes, const std::byte* x_bytes) const {
    const auto* const q = reinterpret_cast<const float*>(q_bytes);
    const auto* const x = reinterpret_cast<const float*>(x_bytes);
    double terms = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      const double difference = double{q[i]} - double{x[i]};
      terms +=
          metric == Metric::kL2 ? difference * difference : std::abs(double{q[i]} * double{x[i]});
    }
    const double roundings = static_cast<double>(dim) / 2 + 16;
    const double unit = 0x1.0p-24;
    return roundings * unit / (1 - roundings * unit) * terms;
  }

  Metric metric;
  std::size_t dim;
  std::vector<float> query;
  RowArray rows;
  float scores[kRows];
  double bounds[kRows];
};

/// The index of the first score beyond its bound, or kRows.
std::size_t first_inaccurate(const Problem& problem, std::span<const float> scores) {
  for (std::size_t i = 0; i < kRows; ++i) {
    if (!(std::abs(double{scores[i]} - double{problem.scores[i]}) <= problem.bounds[i])) return i;
  }
  return kRows;
}

/// Row numbers in random order.
std::vector<std::size_t> shuffled(std::mt19937_64& rng) {
  std::vector<std::size_t> order(kRows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), rng);
  return order;
}

/// Whether gather_within() gives the bits of `expected` where that is within `limit`, and a number
/// beyond it elsewhere.
bool limited_matches(const Kernel& kernel, Query query, std::span<const std::byte* const> rows,
                     float limit, std::span<const float> expected) {
  std::vector<float> out(rows.size());
  kernel.gather_within(query, rows, limit, out);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::span<const float> score(&out[i], 1);
    const bool matches =
        expected[i] > limit ? out[i] > limit : same_bits(score, expected.subspan(i, 1));
    if (!matches) return false;
  }
  return true;
}

/// Whether gather(), with and without a limit, and scan() of `count` rows give the bits of `alone`,
/// the scores of single rows, and write nothing behind them.
bool batch_matches(const Kernel& kernel, Query query, const RowArray& rows,
                   std::span<const std::size_t> order, std::span<const float> alone) {
  constexpr float kGuard = -12345.0F;
  const std::size_t count = order.size();
  std::vector<const std::byte*> gathered;
  std::vector<float> expected;
  for (const std::size_t i : order) {
    gathered.push_back(rows.row(i));
    expected.push_back(alone[i]);
  }
  std::vector<float> out(count + 4, kGuard);
  kernel.gather(query, gathered, std::span(out).first(count));
  const bool gather_matches = same_bits(std::span(out).first(count), expected);

  std::vector<float> scanned(count + 4, kGuard);
  kernel.scan(query, rows.row(0), std::span(scanned).first(count));
  const bool scan_matches = same_bits(std::span(scanned).first(count), alone.first(count));

  const auto untouched = [&](const std::vector<float>& v) {
    return std::all_of(v.begin() + static_cast<std::ptrdiff_t>(count), v.end(),
                       [](float value) { return value == kGuard; });
  };
  // Of random rows half are within the first limit, hardly one within the second.
  bool limited_match = true;
  for (const float share : {1.0F, 0.5F}) {
    const float limit = count > 0 ? share * expected[count / 2] : 0;
    limited_match &= limited_matches(kernel, query, gathered, limit, expected);
  }
  return gather_matches && limited_match && scan_matches && untouched(out) && untouched(scanned);
}

void check_kernel(const std::string& name, const Problem& problem, std::mt19937_64& rng) {
  const auto kernel = kernel_of(name, problem.metric, problem.dim);
  CAPTURE(name);
  CAPTURE(std::string(metric_name(problem.metric)));
  CAPTURE(problem.dim);
  AlignedBuffer storage;
  const Query query = kernel->prepare(problem.query, storage);

  float alone[kRows];
  for (std::size_t i = 0; i < kRows; ++i) {
    const std::byte* const row = problem.rows.row(i);
    kernel->gather(query, {&row, 1}, {&alone[i], 1});
  }
  const std::size_t inaccurate = first_inaccurate(problem, alone);
  CAPTURE(inaccurate);
  CHECK(inaccurate == kRows);

  const std::vector<std::size_t> order = shuffled(rng);
  for (const std::size_t misalignment : kMisalignments) {
    RowArray rows(problem.dim, kRows, misalignment);
    rows.copy_from(problem.rows);
    for (const std::size_t batch : kBatchSizes) {
      CAPTURE(misalignment);
      CAPTURE(batch);
      CHECK(batch_matches(*kernel, query, rows, std::span(order).first(batch), alone));
    }
  }
}

void check_all_kernels(Metric metric, std::uint64_t stream) {
  auto rng = test::make_rng(stream);
  for (const std::size_t dim : tested_dims()) {
    const Problem problem(metric, dim, rng);
    for (const std::string& name : tested_kernels()) check_kernel(name, problem, rng);
  }
}

TEST_CASE("core/kernel: l2 equals the oracle on every target, dimension, alignment and batch") {
  check_all_kernels(Metric::kL2, 1);
}

TEST_CASE("core/kernel: dot equals the oracle on every target, dimension, alignment and batch") {
  check_all_kernels(Metric::kDot, 2);
}

TEST_CASE("core/kernel: cosine equals the oracle on every target, dimension, alignment and batch") {
  check_all_kernels(Metric::kCosine, 3);
}

TEST_CASE("core/kernel: the targets compiled in are tested if the machine has them") {
  const std::vector<std::string> run = tested_kernels();
  for (const std::string_view compiled : kernels::compiled_targets()) {
    const bool runs = std::find(run.begin(), run.end(), compiled) != run.end();
    const std::string fate = runs ? " compiled and tested" : " compiled, not on this machine";
    MESSAGE(std::string(compiled), fate);
  }
  CHECK(!run.empty());
#if defined(__x86_64__) && !defined(__AVX2__) && !defined(ENGRAM_DISABLED_TARGETS)
  const auto compiled = kernels::compiled_targets();
  for (const std::string_view wanted : {"AVX3", "AVX2", "SSE4", "SSSE3", "portable"}) {
    CAPTURE(std::string(wanted));
    CHECK(std::find(compiled.begin(), compiled.end(), wanted) != compiled.end());
  }
#elif defined(__aarch64__)
  CHECK(run.front() == "NEON");
#endif
}

TEST_CASE("core/kernel: the oracle computes what metric.h defines") {
  const std::vector<float> q = {1, 2, 3};
  const std::vector<float> x = {3, 2, -1};
  const auto score = [&](Metric metric) {
    const auto kernel = kernel_of("scalar", metric, 3);
    AlignedBuffer query;
    AlignedBuffer row;
    kernel->prepare(x, row);
    float result = 0;
    kernel->scan(kernel->prepare(q, query), row.reserve(row_bytes(3)), {&result, 1});
    return result;
  };
  CHECK(score(Metric::kL2) == 20.0F);
  CHECK(score(Metric::kDot) == -4.0F);
  CHECK(score(Metric::kCosine) == doctest::Approx(-4.0 / 14.0));
}

TEST_CASE("core/kernel: names are found in any letter case, and auto is the best target") {
  CHECK(kernel_names().at(0) == "auto");
  CHECK(kernel_names().at(1) == "scalar");
  CHECK(kernel_of("auto", Metric::kL2, 8)->name() == tested_kernels().front());
  CHECK(kernel_of("SCALAR", Metric::kL2, 8)->name() == "scalar");
  for (const std::string& name : tested_kernels()) {
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    CHECK(kernel_of(lower, Metric::kDot, 8)->name() == name);
  }
}

TEST_CASE("core/kernel: an unknown name is refused with the names there are") {
  const auto kernel = make_kernel("mmx", Metric::kL2, 8);
  REQUIRE(!kernel.has_value());
  CHECK(kernel.error().code == ErrorCode::kInvalidArgument);
  std::string known;
  for (const std::string& name : kernel_names()) known += (known.empty() ? "" : ", ") + name;
  CHECK(kernel.error().message == "unknown kernel 'mmx', this machine has " + known);
}

/// Vectors at the edge of what check_vector admits: the whole norm in one component or spread over
/// all, of either sign; the smallest numbers; zero.
std::vector<std::vector<float>> extreme_vectors(std::size_t dim) {
  const auto longest = static_cast<float>(kMaxNorm);
  const float spread =
      std::nextafter(static_cast<float>(kMaxNorm / std::sqrt(static_cast<double>(dim))), 0.0F);
  std::vector<std::vector<float>> vectors;
  for (const float sign : {1.0F, -1.0F}) {
    vectors.emplace_back(dim, 0.0F).back() = sign * longest;
    vectors.emplace_back(dim, sign * spread);
    vectors.emplace_back(dim, sign * std::numeric_limits<float>::denorm_min());
  }
  vectors.emplace_back(dim, 0.0F);
  return vectors;
}

TEST_CASE("core/kernel: no admitted pair of vectors scores infinite or NaN") {
  for (const std::size_t dim :
       {std::size_t{1}, std::size_t{17}, std::size_t{1000}, kMaxDimension}) {
    const auto vectors = extreme_vectors(dim);
    for (const auto& vector : vectors) REQUIRE(check_vector(vector).has_value());
    for (const Metric metric : kMetrics) {
      for (const std::string& name : kernel_names()) {
        const auto kernel = kernel_of(name, metric, dim);
        CAPTURE(name);
        CAPTURE(dim);
        for (const auto& q : vectors) {
          for (const auto& x : vectors) {
            AlignedBuffer query;
            AlignedBuffer row;
            float score = 0;
            kernel->scan(kernel->prepare(q, query), kernel->prepare(x, row).data, {&score, 1});
            CHECK(std::isfinite(score));
          }
        }
      }
    }
  }
}

/// Rows around a query at distances from the least float to the longest admitted one, the nearer
/// half of them where float32 has no squares.
TEST_CASE("core/kernel: l2 distances have float32's precision over their range, on every target") {
  auto rng = test::make_rng(4);
  for (const std::size_t dim : {1U, 2U, 17U, 100U}) {
    RowArray rows(dim, kRows);
    std::vector<float> query(dim, 0.0F);
    double truth[kRows];
    for (std::size_t i = 0; i < kRows; ++i) {
      std::vector<float> vector = random_vector(dim, rng);
      const int exponent = rng() % 2 == 0 ? -140 + 100 * static_cast<int>(i % 2) : 0;
      const int size = exponent + static_cast<int>(rng() % 55);
      for (float& value : vector) value = std::ldexp(value, size);
      if (i % 16 == 0) vector.assign(dim, 0.0F);
      encode_row(Metric::kL2, vector, rows.row(i));
      double sum = 0;
      for (const float value : vector) sum += double{value} * double{value};
      truth[i] = std::sqrt(sum);
    }
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      CAPTURE(dim);
      const auto kernel = kernel_of(name, Metric::kL2, dim);
      AlignedBuffer storage;
      const Query prepared = kernel->prepare(query, storage);
      std::vector<float> scores(kRows);
      kernel->scan(prepared, rows.row(0), scores);
      for (std::size_t i = 0; i < kRows; ++i) {
        CAPTURE(truth[i]);
        const double distance = score_to_distance(Metric::kL2, scores[i]);
        // Half a step of denormals where there are no more bits.
        CHECK(std::abs(distance - truth[i]) <= 1e-6 * truth[i] + 0x1p-150);
        for (std::size_t k = 0; k < i; ++k) {
          if (truth[k] < truth[i] * (1 - 1e-6)) CHECK(scores[k] <= scores[i]);
        }
      }
      CHECK(batch_matches(*kernel, prepared, rows, shuffled(rng), scores));
    }
  }
}

TEST_CASE("core/kernel: a distance is as precise between large vectors that nearly agree") {
  std::vector<float> query(40, 1.0F);
  for (const std::string& name : kernel_names()) {
    CAPTURE(name);
    const auto kernel = kernel_of(name, Metric::kL2, query.size());
    AlignedBuffer storage;
    AlignedBuffer row;
    std::vector<float> other = query;
    query[7] = 3e-30F;
    other[7] = 5e-30F;
    float score = 0;
    kernel->scan(kernel->prepare(query, storage), kernel->prepare(other, row).data, {&score, 1});
    CHECK(score_to_distance(Metric::kL2, score) == doctest::Approx(2e-30).epsilon(1e-6));
  }
}

TEST_CASE("core/kernel: under cosine a zero vector is at distance 1 from all, itself included") {
  const std::vector<float> zero(5, 0.0F);
  const std::vector<float> other = {1, -2, 3, -4, 5};
  for (const std::string& name : kernel_names()) {
    const auto kernel = kernel_of(name, Metric::kCosine, 5);
    AlignedBuffer query;
    AlignedBuffer row;
    for (const auto& x : {zero, other}) {
      float score = 1;
      kernel->scan(kernel->prepare(zero, query), kernel->prepare(x, row).data, {&score, 1});
      CHECK(score_to_distance(Metric::kCosine, score) == 1.0F);
    }
  }
}

}  // namespace
}  // namespace engram::kernel_test
