// SPDX-License-Identifier: Apache-2.0
#include "core/index.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

namespace engram::index_test {
namespace {

/// Answers the number in its query as a slot, and refuses 0: enough to see what the defaults call.
class EchoIndex final : public Index {
 public:
  Status insert(const Insertion&, Scratch&) override { return {}; }
  void erase(Slot, Scratch&) override {}
  Status search(Query query, const SearchParams&, Scratch&, std::vector<Hit>& hits) const override {
    const auto number = static_cast<Slot>(*query.data);
    if (number == 0) return fail(ErrorCode::kInvalidArgument, "zero");
    hits = {{0.0F, number}};
    return {};
  }
  std::size_t size() const noexcept override { return 0; }
  std::size_t memory_bytes() const noexcept override { return 0; }
};

class NoSections final : public SectionWriter, public SectionReader {
 public:
  Status begin(std::string_view) override { return {}; }
  Status append(std::span<const std::byte>) override { return {}; }
  Result<std::span<const std::byte>> section(std::string_view) override {
    return std::span<const std::byte>();
  }
  Result<std::size_t> size(std::string_view) override { return 0; }
  Result<std::unique_ptr<Placement>> place(std::string_view, std::byte*) override {
    return nullptr;
  }
};

TEST_CASE("core/index: a batch is searched query by query unless a primitive knows better") {
  const EchoIndex index;
  const std::byte numbers[] = {std::byte{3}, std::byte{1}, std::byte{2}};
  const std::vector<Query> queries = {{&numbers[0]}, {&numbers[1]}, {&numbers[2]}};
  std::vector<std::vector<Hit>> hits(3);
  Scratch scratch;
  REQUIRE(index.search_batch(queries, {}, scratch, hits).has_value());
  CHECK(hits[0] == std::vector<Hit>{{0.0F, 3}});
  CHECK(hits[1] == std::vector<Hit>{{0.0F, 1}});
  CHECK(hits[2] == std::vector<Hit>{{0.0F, 2}});
}

TEST_CASE("core/index: a batch fails with the first query that does") {
  const EchoIndex index;
  const std::byte numbers[] = {std::byte{3}, std::byte{0}};
  const std::vector<Query> queries = {{&numbers[0]}, {&numbers[1]}};
  std::vector<std::vector<Hit>> hits(2);
  Scratch scratch;
  const Status status = index.search_batch(queries, {}, scratch, hits);
  REQUIRE(!status.has_value());
  CHECK(status.error().message == "zero");
}

TEST_CASE("core/index: a primitive that saves no structure says so") {
  EchoIndex index;
  NoSections sections;
  const SlotSet items;
  CHECK(index.save(sections, items).error().code == ErrorCode::kUnsupported);
  CHECK(index.load(sections, items).error().code == ErrorCode::kUnsupported);
  CHECK(index.describe().empty());
  Scratch scratch;
  CHECK(index.reclaim({}, scratch).has_value());
}

TEST_CASE("core/slot: hits are ordered by score, and equal scores by slot") {
  CHECK(Hit{1.0F, 9} < Hit{2.0F, 1});
  CHECK(Hit{1.0F, 1} < Hit{1.0F, 2});
  CHECK(!(Hit{1.0F, 1} < Hit{1.0F, 1}));
  CHECK(Hit{0.0F, 1} < Hit{-0.0F, 2});  // the two zeros are the same score
}

}  // namespace
}  // namespace engram::index_test
