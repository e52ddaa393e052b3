// SPDX-License-Identifier: Apache-2.0
#include "core/row_algebra.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "core/row.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::row_algebra_test {
namespace {

using test::random_vector;
using test::RowArray;
using test::same_bits;
using test::tested_kernels;

constexpr std::size_t kRows = 37;
constexpr std::size_t kBatchSizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 36, 37};
constexpr std::size_t kMisalignments[] = {0, 4, 20, 60};  // bytes

std::vector<std::size_t> tested_dims() {
  std::vector<std::size_t> dims(140);
  std::iota(dims.begin(), dims.end(), std::size_t{1});
  for (const std::size_t dim : {255U, 256U, 257U, 784U, 1000U}) dims.push_back(dim);
  return dims;
}

std::unique_ptr<RowAlgebra> algebra_of(const std::string& name, std::size_t dim) {
  auto algebra = make_row_algebra(name, dim);
  REQUIRE(algebra.has_value());
  return std::move(*algebra);
}

/// The sum of `count` terms that are each rounded at most `roundings` times in numbers of unit `u`
/// is off by at most this times the sum of their magnitudes (Higham 2002, 3.1: gamma_n).
double gamma(double roundings, double u) {
  return roundings * u / (1 - roundings * u);
}

const float* floats_of(const std::byte* row) {
  return reinterpret_cast<const float*>(row);
}

/// Rows, and all that is asked of them. Everything lies in exactly as much memory as it needs.
struct Problem {
  Problem(std::size_t dim_, std::mt19937_64& rng)
      : dim(dim_),
        padded(row_bytes(dim_) / sizeof(float)),
        query(random_vector(dim_, rng)),
        weights(random_vector(dim_, rng)),
        rows(dim_, kRows) {
    for (float& weight : weights) weight = rng() % 8 == 0 ? 0 : weight * weight;
    query.resize(padded);
    weights.resize(padded);
    query.shrink_to_fit();
    weights.shrink_to_fit();
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < kRows; ++i) {
      encode_row(Metric::kL2, random_vector(dim, rng), rows.row(i));
      factors.push_back(normal(rng));
    }
    for (std::size_t k = 0; k < padded; ++k) start.push_back(k < dim ? normal(rng) : 0);
  }

  std::vector<const std::byte*> pointers(const RowArray& array) const {
    std::vector<const std::byte*> result;
    for (std::size_t i = 0; i < kRows; ++i) result.push_back(array.row(i));
    return result;
  }

  std::size_t dim;
  std::size_t padded;
  std::vector<float> query;
  std::vector<float> weights;
  RowArray rows;
  std::vector<double> factors;
  std::vector<double> start;  ///< what is in the sums before
};

template <class Check>
void for_each_problem(std::uint64_t stream, Check&& check) {
  auto rng = test::make_rng(stream);
  for (const std::size_t dim : tested_dims()) {
    const Problem problem(dim, rng);
    for (const std::string& name : tested_kernels()) {
      CAPTURE(dim);
      CAPTURE(name);
      check(problem, *algebra_of(name, dim), rng);
    }
  }
}

std::vector<double> squares_of(const RowAlgebra& algebra, const Problem& problem,
                               std::span<const std::byte* const> rows) {
  std::vector<double> out(rows.size());
  algebra.weighted_squares(problem.query.data(), problem.weights.data(), rows, out);
  return out;
}

std::vector<double> sum_of(const RowAlgebra& algebra, const Problem& problem,
                           std::span<const std::byte* const> rows) {
  std::vector<double> sum = problem.start;
  algebra.add_rows(problem.factors, rows, sum);
  return sum;
}

TEST_CASE("core/row_algebra: weighted squares equal the oracle's on every target and dimension") {
  for_each_problem(71, [](const Problem& problem, const RowAlgebra& algebra, std::mt19937_64&) {
    const auto rows = problem.pointers(problem.rows);
    const auto expected = squares_of(*algebra_of("scalar", problem.dim), problem, rows);
    const auto got = squares_of(algebra, problem, rows);
    // No term is negative, so the bound is relative. In the order of f32-inl.h a term of a target
    // of one lane meets half of the padded dimension; a few more are the difference (twice), the
    // products, the sums of accumulators and lanes, and the oracle's rounding to float.
    const double bound = gamma(static_cast<double>(problem.padded) / 2 + 16, 0x1p-24);
    for (std::size_t i = 0; i < kRows; ++i) {
      CHECK(std::abs(got[i] - expected[i]) <= bound * expected[i]);
    }
  });
}

TEST_CASE(
    "core/row_algebra: weighted squares have the same bits in every batch, wherever rows lie") {
  for_each_problem(72, [](const Problem& problem, const RowAlgebra& algebra, std::mt19937_64& rng) {
    constexpr double kGuard = -12345.0;
    std::vector<double> alone;
    for (const std::byte* const row : problem.pointers(problem.rows)) {
      alone.push_back(squares_of(algebra, problem, {&row, 1}).front());
    }
    const std::size_t misalignment = kMisalignments[rng() % std::size(kMisalignments)];
    CAPTURE(misalignment);
    RowArray moved(problem.dim, kRows, misalignment);
    moved.copy_from(problem.rows);
    const auto rows = problem.pointers(moved);
    for (const std::size_t batch : kBatchSizes) {
      CAPTURE(batch);
      const std::size_t first = rng() % (kRows - batch + 1);
      std::vector<double> out(batch + 1, kGuard);
      algebra.weighted_squares(problem.query.data(), problem.weights.data(),
                               std::span(rows).subspan(first, batch), std::span(out).first(batch));
      CHECK(same_bits(std::span(out).first(batch), std::span(alone).subspan(first, batch)));
      CHECK(out.back() == kGuard);
    }
  });
}

TEST_CASE("core/row_algebra: squares that float32 has no numbers for are as precise as others") {
  for (const std::string& name : kernel_names()) {
    CAPTURE(name);
    const auto algebra = algebra_of(name, 33);
    RowArray rows(33, 600);  // more than are computed at a time
    std::vector<const std::byte*> pointers;
    for (std::size_t i = 0; i < 600; ++i) {
      std::vector<float> vector(33, 1.0F);
      vector[32] = std::ldexp(1.5F, -static_cast<int>(i % 140));
      encode_row(Metric::kL2, vector, rows.row(i));
      pointers.push_back(rows.row(i));
    }
    const std::vector<float> query(48, 0.0F);
    std::vector<float> weights(48, 0.0F);
    weights[32] = 0.25F;
    std::vector<double> out(600);
    algebra->weighted_squares(query.data(), weights.data(), pointers, out);
    for (std::size_t i = 0; i < 600; ++i) {
      const double expected = 0.25 * std::ldexp(2.25, -2 * static_cast<int>(i % 140));
      CHECK(out[i] == doctest::Approx(expected).epsilon(1e-6));
    }
  }
}

TEST_CASE("core/row_algebra: sums of rows equal the oracle's on every target and dimension") {
  for_each_problem(73, [](const Problem& problem, const RowAlgebra& algebra, std::mt19937_64&) {
    const auto rows = problem.pointers(problem.rows);
    const auto expected = sum_of(*algebra_of("scalar", problem.dim), problem, rows);
    const auto got = sum_of(algebra, problem, rows);
    // A term is rounded as a product and in each sum from there on, here and by the oracle.
    const double bound = 2 * gamma(kRows + 1, 0x1p-53);
    for (std::size_t k = 0; k < problem.dim; ++k) {
      double terms = std::abs(problem.start[k]);
      for (std::size_t i = 0; i < kRows; ++i) {
        terms += std::abs(problem.factors[i] * floats_of(rows[i])[k]);
      }
      CHECK(std::abs(got[k] - expected[k]) <= bound * terms);
    }
    CHECK(std::all_of(got.begin() + static_cast<std::ptrdiff_t>(problem.dim), got.end(),
                      [](double value) { return value == 0; }));
  });
}

TEST_CASE("core/row_algebra: sums of rows have the same bits for every split, wherever rows lie") {
  for_each_problem(74, [](const Problem& problem, const RowAlgebra& algebra, std::mt19937_64& rng) {
    const auto whole = sum_of(algebra, problem, problem.pointers(problem.rows));
    const std::size_t misalignment = kMisalignments[rng() % std::size(kMisalignments)];
    CAPTURE(misalignment);
    RowArray moved(problem.dim, kRows, misalignment);
    moved.copy_from(problem.rows);
    const auto rows = problem.pointers(moved);
    for (const std::size_t longest : {std::size_t{1}, std::size_t{5}, std::size_t{20}}) {
      CAPTURE(longest);
      std::vector<double> sum = problem.start;
      for (std::size_t first = 0; first < kRows;) {
        const std::size_t count = std::min<std::size_t>(rng() % (longest + 1), kRows - first);
        algebra.add_rows(std::span(problem.factors).subspan(first, count),
                         std::span(rows).subspan(first, count), sum);
        first += count;
      }
      CHECK(same_bits(sum, whole));
    }
  });
}

TEST_CASE("core/row_algebra: the oracle computes what the header defines") {
  const auto algebra = algebra_of("Scalar", 3);
  CHECK(algebra->name() == "scalar");
  RowArray rows(3, 2);
  encode_row(Metric::kL2, std::vector<float>{3, 2, -1}, rows.row(0));
  encode_row(Metric::kL2, std::vector<float>{0, 1, 5}, rows.row(1));
  const std::byte* const both[] = {rows.row(0), rows.row(1)};
  std::vector<float> query = {1, 2, 3};
  std::vector<float> weights = {2, 7, 0.5F};
  query.resize(16);
  weights.resize(16);

  double out[2];
  algebra->weighted_squares(query.data(), weights.data(), both, out);
  CHECK(out[0] == 2 * 4 + 0 + 0.5F * 16);
  CHECK(out[1] == 2 * 1 + 7 * 1 + 0.5F * 4);

  std::vector<double> sum(16, 0.0);
  sum[0] = 100;
  algebra->add_rows(std::vector<double>{2, -1}, both, sum);
  CHECK(sum[0] == 106);
  CHECK(sum[1] == 3);
  CHECK(sum[2] == -7);
}

TEST_CASE("core/row_algebra: names are those of kernels, and an unknown one is refused as there") {
  for (const std::string& name : kernel_names()) {
    CHECK(algebra_of(name, 8)->name() == (*make_kernel(name, Metric::kL2, 8))->name());
  }
  const auto algebra = make_row_algebra("mmx", 8);
  REQUIRE(!algebra.has_value());
  CHECK(algebra.error().code == ErrorCode::kInvalidArgument);
  CHECK(algebra.error().message == make_kernel("mmx", Metric::kL2, 8).error().message);
}

}  // namespace
}  // namespace engram::row_algebra_test
