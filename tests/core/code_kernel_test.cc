// SPDX-License-Identifier: Apache-2.0
#include "core/kernels/code_kernel.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/codes.h"
#include "core/kernel.h"
#include "tests/support/seed.h"

namespace engram::code_kernel_test {
namespace {

constexpr Element kCodes[] = {Element::kSq8, Element::kSq4, Element::kBin};
constexpr std::size_t kRows = 11;
constexpr std::size_t kMisalignments[] = {0, 4, 20};

std::vector<float> random_vector(std::size_t dim, std::mt19937_64& rng) {
  std::normal_distribution<float> normal(0.5F, 1);
  std::vector<float> vector(dim);
  for (float& value : vector) value = normal(rng);
  return vector;
}

/// Rows in exactly as much memory as they need, so that a sanitizer sees every byte read before or
/// after them.
class CodedRows {
 public:
  CodedRows(Element element, Metric metric, std::size_t dim, std::mt19937_64& rng)
      : stride_(row_bytes(element, metric, dim)), bytes_(kRows * stride_) {
    AlignedBuffer buffer;
    std::byte* const values = buffer.reserve(row_bytes(dim));
    for (std::size_t i = 0; i < kRows; ++i) {
      encode_row(metric, random_vector(dim, rng), values);
      encode_codes(element, metric, {reinterpret_cast<const float*>(values), dim}, row(i));
      decoded_.emplace_back(dim);
      decode_codes(element, metric, row(i), decoded_.back());
    }
  }

  std::byte* row(std::size_t i) { return bytes_.data() + i * stride_; }
  const std::vector<float>& decoded(std::size_t i) const { return decoded_[i]; }
  std::size_t bytes() const { return bytes_.size(); }

 private:
  std::size_t stride_;
  std::vector<std::byte> bytes_;
  std::vector<std::vector<float>> decoded_;
};

struct TrueScore {
  double score;
  double terms;  ///< the sum of their magnitudes
};

/// In doubles.
TrueScore true_score(Metric metric, const float* q, const std::vector<float>& x) {
  double score = 0;
  double terms = 0;
  for (std::size_t j = 0; j < x.size(); ++j) {
    const double difference = double{q[j]} - x[j];
    const double term = metric == Metric::kL2 ? difference * difference : -double{q[j]} * x[j];
    score += term;
    terms += std::abs(term);
  }
  return {score, terms};
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

std::vector<std::size_t> tested_dims() {
  std::vector<std::size_t> dims(140);
  std::iota(dims.begin(), dims.end(), std::size_t{1});
  for (const std::size_t dim : {255U, 256U, 257U, 784U, 1000U}) dims.push_back(dim);
  return dims;
}

template <class Check>
void for_each_problem(std::uint64_t stream, Check&& check) {
  auto rng = test::make_rng(stream);
  for (const Element element : kCodes) {
    for (const Metric metric : kMetrics) {
      for (const std::size_t dim : tested_dims()) {
        CAPTURE(std::string(element_name(element)));
        CAPTURE(std::string(metric_name(metric)));
        CAPTURE(dim);
        CodedRows rows(element, metric, dim, rng);
        check(element, metric, dim, rows, random_vector(dim, rng));
      }
    }
  }
}

/// The scores of single rows, which those of gathered and scanned ones must equal to the bit, from
/// wherever they are read.
std::vector<float> scores_of(const Kernel& kernel, Query query, CodedRows& rows) {
  std::vector<float> alone(kRows);
  std::vector<const std::byte*> pointers;
  for (std::size_t i = 0; i < kRows; ++i) {
    pointers.push_back(rows.row(i));
    kernel.gather(query, {&pointers[i], 1}, {&alone[i], 1});
  }
  for (std::size_t count = 0; count <= kRows; ++count) {
    std::vector<float> gathered(count);
    kernel.gather(query, std::span(pointers).first(count), gathered);
    CHECK(std::equal(gathered.begin(), gathered.end(), alone.begin(), same_bits));
  }
  for (const std::size_t misalignment : kMisalignments) {
    std::vector<std::byte> moved(rows.bytes() + misalignment);
    std::memcpy(moved.data() + misalignment, rows.row(0), rows.bytes());
    std::vector<float> scanned(kRows);
    kernel.scan(query, moved.data() + misalignment, scanned);
    CHECK(std::equal(scanned.begin(), scanned.end(), alone.begin(), same_bits));
  }
  return alone;
}

TEST_CASE("core/code_kernel: the vectors that codes stand for are scored, on every target") {
  for_each_problem(1, [](Element element, Metric metric, std::size_t dim, CodedRows& rows,
                         const std::vector<float>& vector) {
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      const auto kernel = make_kernel(name, metric, dim, element).value();
      AlignedBuffer storage;
      const Query query = kernel->prepare(vector, storage);
      const auto scores = scores_of(*kernel, query, rows);
      for (std::size_t i = 0; i < kRows; ++i) {
        const auto [score, terms] =
            true_score(metric, reinterpret_cast<const float*>(query.data), rows.decoded(i));
        // The rounding of each component that is decoded counts twice as much under l2.
        const double roundings = static_cast<double>(dim) + 20;
        double magnitude = terms;
        for (const float x : rows.decoded(i)) magnitude += double{x} * x + std::abs(double{x});
        CHECK(std::abs(scores[i] - score) <= roundings * 0x1p-24 * 4 * (magnitude + 1));
      }
    }
  });
}

TEST_CASE("core/code_kernel: estimates have the same bits on every target") {
  for_each_problem(2, [](Element element, Metric metric, std::size_t dim, CodedRows& rows,
                         const std::vector<float>& vector) {
    const auto oracle = make_estimator("scalar", metric, dim, element).value();
    AlignedBuffer storage;
    const auto expected = scores_of(*oracle, oracle->prepare(vector, storage), rows);
    const auto from_row = scores_of(*oracle, oracle->from_row(rows.row(3), storage), rows);
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      const auto estimator = make_estimator(name, metric, dim, element).value();
      const auto scores = scores_of(*estimator, estimator->prepare(vector, storage), rows);
      CHECK(std::equal(scores.begin(), scores.end(), expected.begin(), same_bits));
      const auto others = scores_of(*estimator, estimator->from_row(rows.row(3), storage), rows);
      CHECK(std::equal(others.begin(), others.end(), from_row.begin(), same_bits));
    }
  });
}

TEST_CASE("core/code_kernel: an estimate is the score of the query's own codes") {
  for_each_problem(3, [](Element element, Metric metric, std::size_t dim, CodedRows& rows,
                         const std::vector<float>& vector) {
    const auto estimator = make_estimator("auto", metric, dim, element).value();
    AlignedBuffer storage;
    AlignedBuffer row_storage;
    std::byte* const row = row_storage.reserve(row_bytes(dim));
    encode_row(metric, vector, row);
    const Element coding = element == Element::kBin ? Element::kSq4 : Element::kSq8;
    std::vector<std::byte> coded(row_bytes(coding, metric, dim));
    std::vector<float> query(dim);
    encode_codes(coding, metric, {reinterpret_cast<const float*>(row), dim}, coded.data());
    decode_codes(coding, metric, coded.data(), query);
    const auto check = [&](const std::vector<float>& q, const std::vector<float>& scores) {
      for (std::size_t i = 0; i < kRows; ++i) {
        double magnitude = 1;
        for (std::size_t j = 0; j < dim; ++j) {
          magnitude += double{q[j]} * q[j] + double{rows.decoded(i)[j]} * rows.decoded(i)[j];
        }
        const double score = true_score(metric, q.data(), rows.decoded(i)).score;
        // The float32 of headers, times offsets as large as the components.
        CHECK(std::abs(scores[i] - score) <= 4e-6 * magnitude);
      }
    };
    check(query, scores_of(*estimator, estimator->prepare(vector, storage), rows));
    check(rows.decoded(7), scores_of(*estimator, estimator->from_row(rows.row(7), storage), rows));
  });
}

TEST_CASE("core/code_kernel: between rows of signs an estimate is their Hamming distance") {
  auto rng = test::make_rng(4);
  for (const std::size_t dim : tested_dims()) {
    CAPTURE(dim);
    CodedRows rows(Element::kBin, Metric::kCosine, dim, rng);
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      const auto estimator = make_estimator(name, Metric::kCosine, dim, Element::kBin).value();
      AlignedBuffer storage;
      const auto scores = scores_of(*estimator, estimator->from_row(rows.row(2), storage), rows);
      for (std::size_t i = 0; i < kRows; ++i) {
        std::size_t differ = 0;
        for (std::size_t j = 0; j < dim; ++j) {
          differ += sign_at(rows.row(i), j) ^ sign_at(rows.row(2), j);
        }
        const double expected = 2 * static_cast<double>(differ) / static_cast<double>(dim);
        CHECK(double{score_to_distance(Metric::kCosine, scores[i])} ==
              doctest::Approx(expected).epsilon(1e-4));
      }
    }
  }
}

/// Rows and query as small as `size`: the distances of what their codes stand for, beside those of
/// the kernels.
void check_small(Element element, float size, std::mt19937_64& rng) {
  constexpr std::size_t kDim = 50;
  const auto small_vector = [&] {
    std::vector<float> vector = random_vector(kDim, rng);
    for (float& value : vector) value *= size;
    return vector;
  };
  const std::vector<float> vector = small_vector();
  std::vector<std::byte> row(row_bytes(element, Metric::kL2, kDim));
  const std::byte* const rows[] = {row.data()};
  for (int i = 0; i < 20; ++i) {
    encode_codes(element, Metric::kL2, i == 0 ? vector : small_vector(), row.data());
    std::vector<float> decoded(kDim);
    decode_codes(element, Metric::kL2, row.data(), decoded);
    const double truth = std::sqrt(true_score(Metric::kL2, vector.data(), decoded).score);
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      CAPTURE(size);
      AlignedBuffer storage;
      float score = 0;
      const auto distance = [&](const Kernel& kernel, Query query) {
        kernel.gather(query, rows, {&score, 1});
        return double{score_to_distance(Metric::kL2, score)};
      };
      const auto kernel = make_kernel(name, Metric::kL2, kDim, element).value();
      CHECK(distance(*kernel, kernel->prepare(vector, storage)) ==
            doctest::Approx(truth).epsilon(1e-5));
      CHECK(distance(*kernel, kernel->from_row(row.data(), storage)) <= 1e-6 * double{size});
      const auto estimator = make_estimator(name, Metric::kL2, kDim, element).value();
      // The query is coded, too: in 8 bits, by steps of a hundredth, or in 4, by steps of a third.
      const double steps = element == Element::kBin ? 1.5 : 0.1;
      CHECK(std::abs(distance(*estimator, estimator->prepare(vector, storage)) - truth) <=
            steps * double{size});
      CHECK(distance(*estimator, estimator->from_row(row.data(), storage)) == 0);
    }
  }
}

TEST_CASE("core/code_kernel: codes of vectors whose squares float32 loses are told apart") {
  auto rng = test::make_rng(6);
  for (const Element element : kCodes) {
    for (const float size : {1e-15F, 1e-20F, 1e-24F, 1e-32F}) check_small(element, size, rng);
  }
}

TEST_CASE(
    "core/code_kernel: along an axis small remainders are told apart, and what lies along it") {
  constexpr std::size_t kDim = 50;
  constexpr float kAlong[] = {1e-21F, 3e-3F};  // of vectors whose remainders float32 loses
  auto rng = test::make_rng(7);
  const std::vector<float> axis(kDim, 1 / std::sqrt(float{kDim}));
  for (const Element element : kCodes) {
    const auto estimator = make_estimator("auto", Metric::kL2, kDim, element, axis).value();
    const std::size_t bytes = row_bytes(element, Metric::kL2, kDim);
    std::vector<std::byte> rows(3 * bytes);
    std::vector<float> vector = random_vector(kDim, rng);
    for (float& value : vector) value *= 1e-22F;
    encode_along(element, Metric::kL2, axis, vector, rows.data());
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<float> moved = vector;
      for (std::size_t j = 0; j < kDim; ++j) moved[j] += kAlong[i] * axis[j];
      encode_along(element, Metric::kL2, axis, moved, &rows[(i + 1) * bytes]);
    }
    AlignedBuffer storage;
    std::vector<float> scores(3);
    estimator->scan(estimator->from_row(rows.data(), storage), rows.data(), scores);
    CHECK(score_to_distance(Metric::kL2, scores[0]) == 0);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(score_to_distance(Metric::kL2, scores[i + 1]) ==
            doctest::Approx(kAlong[i]).epsilon(0.1).scale(0));
    }
  }
}

TEST_CASE("core/code_kernel: sums of the greatest codes do not overflow at any dimension") {
  constexpr std::size_t kDim = kMaxDimension;
  std::vector<float> highest(kDim, 1.0F);
  highest[0] = 0;
  std::vector<float> lowest(kDim, 0.0F);
  lowest[0] = 1;
  for (const Element element : kCodes) {
    std::vector<std::byte> row(row_bytes(element, Metric::kDot, kDim));
    encode_codes(element, Metric::kDot, highest, row.data());
    const std::byte* const rows[] = {row.data()};
    for (const std::string& name : kernel_names()) {
      CAPTURE(name);
      const auto estimator = make_estimator(name, Metric::kDot, kDim, element).value();
      AlignedBuffer storage;
      float score = 0;
      estimator->gather(estimator->prepare(highest, storage), rows, {&score, 1});
      CHECK(score == doctest::Approx(-static_cast<double>(kDim - 1)));
      estimator->gather(estimator->prepare(lowest, storage), rows, {&score, 1});
      // A sign has no zero: the first of `highest` counts as -1.
      CHECK(std::abs(score - (element == Element::kBin ? 1.0F : 0.0F)) < 0.5F);
    }
  }
}

}  // namespace
}  // namespace engram::code_kernel_test
