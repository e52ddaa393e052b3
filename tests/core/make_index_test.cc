// SPDX-License-Identifier: Apache-2.0
#include "core/make_index.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace engram::make_index_test {
namespace {

/// Reads its store until its end.
class Reader final : public Index {
 public:
  explicit Reader(const IndexContext& context) : context_(context) {}
  ~Reader() override { dims_at_the_end.push_back(context_.store.dim()); }

  Status insert(const Insertion&, Scratch&) override { return {}; }
  void erase(Slot, Scratch&) override {}
  Status search(Query, const SearchParams&, Scratch&, std::vector<Hit>&) const override {
    return {};
  }
  std::size_t size() const noexcept override { return 0; }
  std::size_t memory_bytes() const noexcept override { return 0; }

  static inline std::vector<std::size_t> dims_at_the_end;

 private:
  const IndexContext context_;
};

const Primitive kReading = {
    .name = "reading",
    .summary = "",
    .source = "",
    .traits = {},
    .max_dimension = 8,
    .stored_element = [](const Options&) { return Element::kSq8; },
    .create = [](const IndexContext& context, const Options&) -> Result<std::unique_ptr<Index>> {
      return std::make_unique<Reader>(context);
    }};

IndexSpec spec_of(std::size_t dim, std::string kernel = "auto") {
  return {.dim = dim,
          .metric = Metric::kCosine,
          .primitive = &kReading,
          .options = Options(kReading.create_options),
          .kernel_name = std::move(kernel)};
}

TEST_CASE("core/make_index: the store keeps what the primitive asks for, and the kernel reads it") {
  const auto made = make_index(spec_of(5));
  REQUIRE(made.has_value());
  CHECK(made->store->dim() == 5);
  CHECK(made->store->metric() == Metric::kCosine);
  CHECK(made->store->element() == Element::kSq8);
  CHECK(made->kernel != nullptr);
  CHECK(made->index->size() == 0);
}

TEST_CASE("core/make_index: what cannot be made is refused in a sentence") {
  const auto wide = make_index(spec_of(9));
  REQUIRE(!wide.has_value());
  CHECK(wide.error().code == ErrorCode::kInvalidArgument);
  CHECK(wide.error().message == "primitive reading takes vectors of at most 8 dimensions, got 9");
  CHECK(make_index(spec_of(0)).error().code == ErrorCode::kInvalidArgument);
  CHECK(make_index(spec_of(5, "abacus")).error().code == ErrorCode::kInvalidArgument);
}

TEST_CASE("core/make_index: an index that is replaced goes before its store") {
  Reader::dims_at_the_end.clear();
  {
    OwnedIndex made = make_index(spec_of(5)).value();
    made = make_index(spec_of(6)).value();
    CHECK(Reader::dims_at_the_end == std::vector<std::size_t>{5});
  }
  CHECK(Reader::dims_at_the_end == std::vector<std::size_t>{5, 6});
}

}  // namespace
}  // namespace engram::make_index_test
