// SPDX-License-Identifier: Apache-2.0
#include "core/bound.h"

#include <doctest/doctest.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace engram::bound_test {
namespace {

constexpr std::size_t kDim = 512;  // a block of 1,024 rows

/// A store of vectors (i, 0, 0...), so that the l2 score of the origin and slot i is of i * i.
struct Line {
  explicit Line(Slot count) {
    store = std::move(*VectorStore::create(kDim, Metric::kL2));
    kernel = std::move(*make_kernel("auto", Metric::kL2, kDim));
    std::vector<float> vector(kDim, 0.0F);
    for (Slot i = 0; i < count; ++i) {
      vector[0] = static_cast<float>(i);
      store->write(*store->allocate(), vector);
    }
  }

  Bound from_origin() {
    return Bound(*kernel, kernel->prepare(std::vector<float>(kDim, 0.0F), storage), *store);
  }

  std::unique_ptr<VectorStore> store;
  std::unique_ptr<Kernel> kernel;
  AlignedBuffer storage;
};

float score_of(std::size_t i) {
  return l2_score(static_cast<double>(i * i));
}

TEST_CASE("core/bound: gather answers for slots in any order and number, repeated ones too") {
  Line line(300);
  const Bound bound = line.from_origin();
  for (const std::size_t count : {0U, 1U, 63U, 64U, 65U, 128U, 200U}) {
    std::vector<Slot> slots;
    for (std::size_t i = 0; i < count; ++i) slots.push_back(static_cast<Slot>(i * 7919 % 300));
    std::vector<float> scores(count);
    bound.gather(slots, scores);
    for (std::size_t i = 0; i < count; ++i) CHECK(scores[i] == score_of(slots[i]));
  }
}

TEST_CASE("core/bound: a single slot, and a stored row as the query") {
  Line line(20);
  CHECK(line.from_origin().score(13) == 169.0F);
  const RowView rows{*line.kernel, line.store->rows()};
  AlignedBuffer storage;
  CHECK(rows.to_slot(5, storage).score(13) == 64.0F);
  CHECK(rows.to_slot(5, storage).score(5) == score_of(0));
}

TEST_CASE("core/bound: scan covers its slots once, in order, across blocks") {
  constexpr Slot kCount = 2500;
  Line line(kCount);
  REQUIRE(line.store->run_length(0) < kCount);  // several blocks
  const Bound bound = line.from_origin();
  for (const auto& [begin, end] :
       {std::pair<Slot, Slot>{0, kCount}, {0, 0}, {1023, 1025}, {1024, 2048}, {7, 2499}}) {
    Slot next = begin;
    bound.scan(begin, end, [&](Slot first, std::span<const float> scores) {
      CHECK(first == next);
      for (std::size_t i = 0; i < scores.size(); ++i) CHECK(scores[i] == score_of(first + i));
      next = first + static_cast<Slot>(scores.size());
    });
    CHECK(next == end);
  }
}

}  // namespace
}  // namespace engram::bound_test
