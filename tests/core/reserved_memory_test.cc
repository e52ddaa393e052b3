// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

namespace engram {
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

TEST_CASE(
    "core/reserved_memory: elements start at zero and stay where they are as the array grows") {
  ReservedArray<std::uint64_t> array;
  REQUIRE(array.reserve(std::size_t{1} << 22).has_value());
  CHECK(array.committed() == 0);
  REQUIRE(array.ensure(1).has_value());
  std::uint64_t* const first = &array[0];
  array[0] = 42;
  for (std::size_t count = 2; count <= array.capacity(); count *= 2) {
    REQUIRE(array.ensure(count).has_value());
    CHECK(array.committed() >= count);
    CHECK(array[count - 1] == 0);
    CHECK(&array[0] == first);
  }
  CHECK(array[0] == 42);
  CHECK(array.committed_bytes() == array.committed() * sizeof(std::uint64_t));
}

TEST_CASE("core/reserved_memory: growth beyond the reserve is refused and changes nothing") {
  ReservedArray<std::uint32_t> array;
  REQUIRE(array.reserve(1024).has_value());
  REQUIRE(array.ensure(10).has_value());
  const std::size_t committed = array.committed();
  const auto one_more = array.ensure(1025);
  REQUIRE(!one_more.has_value());
  CHECK(one_more.error().code == ErrorCode::kResourceExhausted);
  CHECK(one_more.error().message == "reserved address space holds 1024 entries, 1025 needed");
  CHECK(!array.ensure(std::numeric_limits<std::size_t>::max() / 2).has_value());
  CHECK(array.committed() == committed);
}

TEST_CASE("core/reserved_memory: writers grow the array while readers walk it") {
  constexpr std::size_t kCount = 200'000;
  constexpr std::size_t kWriters = 2;
  ReservedArray<std::atomic<std::uint32_t>> array;
  REQUIRE(array.reserve(kCount).has_value());
  std::atomic<std::size_t> published{0};
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};

  const auto write = [&] {
    for (std::size_t i = next++; i < kCount; i = next++) {
      if (!array.ensure(i + 1).has_value()) failed = true;
      array[i].store(static_cast<std::uint32_t>(i) + 1, std::memory_order_relaxed);
      std::size_t expected = i;  // published in order, as a store publishes its slots
      while (!published.compare_exchange_weak(expected, i + 1, std::memory_order_release)) {
        expected = i;
        std::this_thread::yield();
      }
    }
  };
  const auto read = [&] {
    for (std::size_t end = 0; end < kCount;) {
      const std::size_t begin = end;
      end = published.load(std::memory_order_acquire);
      for (std::size_t i = begin; i < end; ++i) {
        if (array[i].load(std::memory_order_relaxed) != i + 1) failed = true;
      }
      if (begin == end) std::this_thread::yield();
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kWriters; ++i) threads.emplace_back(write);
  threads.emplace_back(read);
  for (std::thread& thread : threads) thread.join();
  CHECK(!failed);
}

}  // namespace
}  // namespace engram
