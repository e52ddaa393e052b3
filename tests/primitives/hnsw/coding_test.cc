// SPDX-License-Identifier: Apache-2.0
// The codes that the index keeps beside vectors, along an axis.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/codes.h"
#include "core/kernel.h"
#include "tests/primitives/hnsw/graphs.h"
#include "tests/support/memory_sections.h"
#include "tests/support/seed.h"
#include "tests/support/test_collection.h"
#include "tests/support/vectors.h"

namespace engram::hnsw::coding_test {
namespace {

using test::hnsw;
using test::Rng;
using test::TestCollection;
using test::Vectors;

/// Cosine, 64 components, of which four have a large constant part.
Vectors biased_vectors(Rng& rng, std::size_t count) {
  constexpr std::size_t kDim = 64;
  constexpr float kBias[] = {60, -45, 30, 80};
  std::normal_distribution<float> normal;
  Rng fixed(11);
  std::vector<float> mixing(8 * kDim);
  for (float& each : mixing) each = 0.35F * normal(fixed);
  Vectors vectors{kDim, {}};
  for (std::size_t i = 0; i < count; ++i) {
    float hidden[8];
    for (float& each : hidden) each = normal(rng);
    for (std::size_t d = 0; d < kDim; ++d) {
      float value = 0.1F * normal(rng) + (d < 4 ? kBias[d] : 0);
      for (std::size_t h = 0; h < 8; ++h) value += hidden[h] * mixing[h * kDim + d];
      vectors.values.push_back(value);
    }
  }
  return vectors;
}

/// 64 components, of which one, another in each vector, leaves the codes of the rest a few values.
Vectors coarsely_coded_vectors(Rng& rng, std::size_t count) {
  Vectors vectors = test::uniform_vectors(rng, count, 64);
  for (std::size_t i = 0; i < count; ++i) vectors.values[i * 64 + rng() % 64] *= 8;
  return vectors;
}

double recall_with(const char* quant, Metric metric, const SearchParams& walk) {
  Rng rng(12);
  TestCollection collection(hnsw(), metric, 64, {{"QUANT", quant}, {"EF_CONSTRUCTION", "100"}});
  collection.add_all(biased_vectors(rng, 1500));
  const Vectors queries = biased_vectors(rng, 50);
  const double recall = collection.recall(queries, walk);
  REQUIRE(collection.restore(*collection.save()).has_value());
  CHECK(collection.recall(queries, walk) == recall);
  return recall;
}

TEST_CASE("hnsw/coding: a constant part in a few components costs codes no recall" *
          doctest::test_suite("quality")) {
  const SearchParams walk{.k = 10, .ef = 24};  // a wider one would be a scan
  for (const Metric metric : kMetrics) {
    CAPTURE(std::string(metric_name(metric)));
    const double vectors = recall_with("f32", metric, walk);
    const double sq8 = recall_with("sq8", metric, walk);
    const double sq4 = recall_with("sq4", metric, walk);
    INFO("recall@10 at ef 24 by vectors, sq8, sq4: " << vectors << ", " << sq8 << ", " << sq4);
    CHECK(sq8 > vectors - 0.01);
    CHECK(sq4 > vectors - 0.05);
    if (metric == Metric::kCosine) {
      CHECK(sq8 > 0.99);
      CHECK(sq4 > 0.95);
    }
  }
}

TEST_CASE("hnsw/coding: signs of what vectors do not have in common lead walks to the nearest") {
  Rng rng(15);
  TestCollection collection(hnsw(), Metric::kCosine, 64,
                            {{"QUANT", "bin"}, {"EF_CONSTRUCTION", "100"}});
  collection.add_all(biased_vectors(rng, 4000));
  const Vectors queries = biased_vectors(rng, 50);
  const SearchParams walk{.k = 10, .ef = 16};  // keeps four times as many; more would be a scan
  const double recall = collection.recall(queries, walk);
  INFO("recall@10 at ef 16: " << recall);
  CHECK(recall > 0.9);
  CHECK(recall < 1);
  REQUIRE(collection.restore(*collection.save()).has_value());
  CHECK(collection.recall(queries, walk) == recall);
}

TEST_CASE("hnsw/coding: what vectors need not rank again is no answer" *
          doctest::test_suite("quality")) {
  constexpr std::size_t kWide = 48;  // as many answers have vectors rank all that a walk found
  constexpr std::size_t kNear = 10;
  Rng rng(16);
  const Vectors items = coarsely_coded_vectors(rng, 4000);
  const Vectors queries = coarsely_coded_vectors(rng, 200);
  for (const char* const quant : {"sq8", "sq4"}) {
    for (const Metric metric : kMetrics) {
      CAPTURE(quant);
      CAPTURE(std::string(metric_name(metric)));
      TestCollection collection(hnsw(), metric, 64, {{"QUANT", quant}});
      collection.add_all(items);
      std::size_t missed = 0;
      for (std::size_t i = 0; i < queries.count(); ++i) {
        std::vector<Hit> all = collection.search(queries[i], {.k = kWide, .ef = kWide});
        all.resize(kNear);
        const auto near = collection.search(queries[i], {.k = kNear, .ef = kWide});
        REQUIRE(near.size() == kNear);
        for (const Hit& hit : near) {
          missed += std::find(all.begin(), all.end(), hit) == all.end() ? 1 : 0;
        }
      }
      CHECK(missed * 1000 <= queries.count() * kNear);
    }
  }
}

/// Counts the rows that another kernel gathers: those that a search by codes ranks again.
class CountingKernel final : public Kernel {
 public:
  explicit CountingKernel(const Kernel& kernel) : kernel_(kernel) {}

  std::string_view name() const noexcept override { return kernel_.name(); }
  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const override {
    return kernel_.prepare(vector, storage);
  }
  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    gathered_ += rows.size();
    kernel_.gather(query, rows, out);
  }
  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    kernel_.scan(query, rows, out);
  }
  Query from_row(const std::byte* row, AlignedBuffer& storage) const override {
    return kernel_.from_row(row, storage);
  }

  std::size_t take_gathered() const { return std::exchange(gathered_, 0); }

 private:
  const Kernel& kernel_;
  mutable std::size_t gathered_ = 0;  // the test has one thread
};

/// What searches of `collection` answer that keep `ef` candidates, by the same graph and codes.
struct Read {
  double recall = 0;
  double rows = 0;  ///< that a search ranked again
};

Read read_by(TestCollection& collection, const Vectors& queries, std::size_t ef) {
  const CountingKernel counting(collection.kernel());
  const auto index =
      collection.primitive().create({collection.store(), counting}, collection.options()).value();
  const auto saved = collection.save();
  test::MemorySectionReader reader(saved->index);
  REQUIRE(index->load(reader, saved->items).has_value());
  AlignedBuffer buffer;
  std::vector<Hit> hits;
  Read sum;
  for (std::size_t i = 0; i < queries.count(); ++i) {
    const Query query = counting.prepare(queries[i], buffer);
    static_cast<void>(counting.take_gathered());
    REQUIRE(index->search(query, {.k = 10, .ef = ef}, collection.scratch(), hits).has_value());
    sum.rows += static_cast<double>(counting.take_gathered());
    sum.recall += test::recall_of(hits, collection.expected(queries[i], 10));
  }
  const auto count = static_cast<double>(queries.count());
  return {sum.recall / count, sum.rows / count};
}

Read read_with(const char* quant, Metric metric, std::size_t ef) {
  Rng rng = test::make_rng(98);
  TestCollection collection(hnsw(), metric, 64, {{"QUANT", quant}, {"EF_CONSTRUCTION", "60"}});
  collection.add_all(biased_vectors(rng, 6000));
  return read_by(collection, biased_vectors(rng, 50), ef);
}

TEST_CASE("hnsw/coding: of what a walk by fine codes found few rows are read" *
          doctest::test_suite("quality")) {
  for (const Metric metric : kMetrics) {
    for (const char* const quant : {"sq8", "sq4"}) {
      const Read read = read_with(quant, metric, 100);
      INFO(quant << ", " << metric_name(metric) << ": recall@10 " << read.recall << ", rows read "
                 << read.rows << " of 100");
      CHECK(read.recall > 0.98);
      CHECK(read.rows >= 10);
      CHECK(read.rows < 60);
    }
  }
}

TEST_CASE("hnsw/coding: of what a walk by coarse codes found all rows are read that may be near") {
  const Read read = read_with("bin", Metric::kCosine, 25);  // keeps four times as many
  INFO("recall@10 " << read.recall << ", rows read " << read.rows << " of 100");
  CHECK(read.recall > 0.97);
  CHECK(read.rows > 60);
}

TEST_CASE("hnsw/coding: rows that were saved without a graph are coded when there is one") {
  Rng rng(13);
  TestCollection collection(hnsw(), Metric::kCosine, 64, {{"QUANT", "sq4"}});
  collection.add_all(biased_vectors(rng, 100));
  for (Slot slot = 0; slot < 20; ++slot) collection.erase(slot);
  REQUIRE(collection.restore(*collection.save()).has_value());
  collection.reclaim();
  collection.add_all(biased_vectors(rng, 1400));
  CHECK(collection.recall(biased_vectors(rng, 50), {.k = 10, .ef = 24}) > 0.95);
}

TEST_CASE("hnsw/coding: an axis of another dimension, or none where there is one, is refused") {
  Rng rng(14);
  TestCollection collection(hnsw(), Metric::kCosine, 64, {{"QUANT", "sq8"}});
  collection.add_all(biased_vectors(rng, kGraphFrom));
  const auto saved = collection.save();
  REQUIRE(saved->index["hnsw.axis"].size() == 64 * sizeof(float));
  saved->index["hnsw.axis"].resize(63 * sizeof(float));
  const auto refused = [&] {
    const auto index = collection.make_index();
    test::MemorySectionReader reader(saved->index);
    const Status loaded = index->load(reader, saved->items);
    return !loaded && loaded.error().code == ErrorCode::kDataLoss;
  };
  CHECK(refused());
  saved->index.erase("hnsw.axis");
  CHECK(refused());
}

TEST_CASE("hnsw/coding: codes of version 5, whose rows are whole lines, are read") {
  Rng rng = test::make_rng(97);
  constexpr std::size_t kDim = 128;
  TestCollection collection(hnsw(), Metric::kL2, kDim, {{"QUANT", "sq4"}});
  collection.add_all(test::uniform_vectors(rng, kGraphFrom + 500, kDim));
  const auto saved = collection.save();
  const std::size_t bytes = row_bytes(Element::kSq4, Metric::kL2, kDim);
  const std::size_t whole = whole_line_row_bytes(Element::kSq4, Metric::kL2, kDim);
  const std::size_t head = bytes - header_bytes(Metric::kL2);
  REQUIRE(bytes < whole);
  const auto codes = saved->index.at("hnsw.codes");
  auto& rows = saved->index["hnsw.codes"];
  rows.assign(codes.size() / bytes * whole, std::byte{0});
  for (std::size_t i = 0; i < codes.size() / bytes; ++i) {
    std::memcpy(&rows[i * whole], &codes[i * bytes], head);
    std::memcpy(&rows[i * whole + whole - (bytes - head)], &codes[i * bytes + head], bytes - head);
  }
  saved->index["hnsw.header"][0] = std::byte{5};
  REQUIRE(collection.restore(*saved).has_value());
  CHECK(collection.save()->index.at("hnsw.codes") == codes);
}

}  // namespace
}  // namespace engram::hnsw::coding_test
