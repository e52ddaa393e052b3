// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/support/memory_sections.h"

namespace engram::reserved_memory_test {
namespace {

TEST_CASE("core/reserved_memory: mappings are zeroed, and large ones lie on huge pages' bounds") {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, std::size_t{3} << 20}) {
    const auto memory = MappedMemory::map(bytes, MappedMemory::Access::kReadWrite);
    REQUIRE(memory.has_value());
    CHECK(memory->size() >= bytes);
    CHECK(memory->data()[0] == std::byte{0});
    CHECK(memory->data()[bytes - 1] == std::byte{0});
    if (bytes >= std::size_t{2} << 20) {
      CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % (std::size_t{2} << 20) == 0);
    }
  }
}

TEST_CASE("core/reserved_memory: a mapping beyond the address space is an error, not a crash") {
  const auto memory = MappedMemory::map(std::size_t{1} << 60, MappedMemory::Access::kNone);
  REQUIRE(!memory.has_value());
  CHECK(memory.error().code == ErrorCode::kResourceExhausted);
  CHECK(memory.error().message.find("no address space") == 0);
}

TEST_CASE("core/reserved_memory: moving a mapping hands it over") {
  auto first = MappedMemory::map(4096, MappedMemory::Access::kReadWrite);
  REQUIRE(first.has_value());
  std::byte* const data = first->data();
  MappedMemory second = std::move(*first);
  CHECK(second.data() == data);
  MappedMemory third;
  third = std::move(second);
  CHECK(third.data() == data);
  third.data()[0] = std::byte{1};
}

TEST_CASE("core/reserved_memory: who observes is told of all that is mapped, and given back") {
  static std::ptrdiff_t observed = 0;
  observed = 0;
  const std::size_t before = mapped_bytes();
  observe_mapped_bytes([](std::ptrdiff_t change) { observed += change; });
  {
    auto memory = MappedMemory::map(1UL << 20, MappedMemory::Access::kNone);
    REQUIRE(memory.has_value());
    CHECK(observed == 0);
    REQUIRE(memory->commit(1).has_value());
    REQUIRE(memory->commit(100'000).has_value());
    CHECK(static_cast<std::size_t>(observed) == mapped_bytes() - before);
    CHECK(observed > 100'000);
  }
  CHECK(observed == 0);
  observe_mapped_bytes(nullptr);
}

TEST_CASE("core/reserved_memory: few bytes of a fixed size are no mapping, many are pages") {
  const std::size_t mapped_before = mapped_bytes();
  const auto few = FixedMemory::allocate(std::size_t{256} << 10);
  REQUIRE(few.has_value());
  CHECK(mapped_bytes() == mapped_before);
  const auto many = FixedMemory::allocate((std::size_t{256} << 10) + 1);
  REQUIRE(many.has_value());
  CHECK(mapped_bytes() > mapped_before);
  for (const FixedMemory* const memory : {&*few, &*many}) {
    const std::span<const std::byte> bytes(memory->data(), memory->size());
    CHECK(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; }));
    CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % 64 == 0);
  }
  CHECK(FixedMemory::allocate(0)->size() == 0);
}

TEST_CASE("core/reserved_memory: memory of a fixed size takes a section of that size only") {
  for (const std::size_t size : {std::size_t{3}, std::size_t{300'000}}) {
    CAPTURE(size);
    test::Sections sections;
    test::MemorySectionWriter writer(sections);
    const std::vector<std::byte> bytes(size, std::byte{7});
    REQUIRE(writer.begin("sum").has_value());
    REQUIRE(writer.append(bytes).has_value());
    test::MemorySectionReader reader(sections);
    auto memory = FixedMemory::allocate(size);
    REQUIRE(memory.has_value());
    REQUIRE(memory->fill(reader, "sum").has_value());
    CHECK(std::equal(bytes.begin(), bytes.end(), memory->data()));
    CHECK(memory->fill(reader, "other").error().code == ErrorCode::kDataLoss);
    auto larger = FixedMemory::allocate(size + 1);
    REQUIRE(larger.has_value());
    CHECK(larger->fill(reader, "sum").error().code == ErrorCode::kDataLoss);
  }
}

}  // namespace
}  // namespace engram::reserved_memory_test
