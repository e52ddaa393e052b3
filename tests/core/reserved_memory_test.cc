// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <span>
#include <thread>
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

test::Sections section_of(const std::vector<std::uint32_t>& values) {
  test::Sections sections;
  test::MemorySectionWriter writer(sections);
  REQUIRE(writer.begin("array").has_value());
  REQUIRE(writer.append(std::as_bytes(std::span(values))).has_value());
  return sections;
}

TEST_CASE("core/reserved_memory: an array adopts a section, and grows behind it in place") {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1024},
                                  std::size_t{1025}, std::size_t{3'000'000}}) {
    CAPTURE(count);
    std::vector<std::uint32_t> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint32_t>(i) + 1;
    const test::Sections sections = section_of(values);
    const std::size_t mapped_before = mapped_bytes();
    {
      ReservedArray<std::uint32_t> array;
      REQUIRE(array.reserve(std::size_t{1} << 22).has_value());
      test::MemorySectionReader reader(sections);
      REQUIRE(array.adopt(reader, "array", count).has_value());
      CHECK(array.committed() >= count);
      CHECK(array.committed() < count + kPageBytes / sizeof(std::uint32_t));
      CHECK(mapped_bytes() - mapped_before == array.committed_bytes());
      CHECK(std::equal(values.begin(), values.end(), array.data()));
      for (std::size_t i = count; i < array.committed(); ++i) CHECK(array[i] == 0);

      const std::uint32_t* const data = array.data();
      REQUIRE(array.ensure(count + 5000).has_value());
      CHECK(array.data() == data);
      CHECK(std::equal(values.begin(), values.end(), array.data()));
      CHECK(array[count + 4999] == 0);
      array[count / 2] = 0;
      array[count + 4999] = 1;
    }
    CHECK(mapped_bytes() == mapped_before);
    CHECK(sections == section_of(values));
  }
}

/// One section, as a file on disk has it: placed by mapping its pages.
class FileSection final : public SectionReader {
 public:
  explicit FileSection(std::span<const std::uint32_t> values) : bytes_(values.size_bytes()) {
    const auto written = ::pwrite(fd_, values.data(), bytes_, 0);
    REQUIRE(written == static_cast<ssize_t>(bytes_));
  }
  ~FileSection() override { ::close(fd_); }
  FileSection(const FileSection&) = delete;
  FileSection& operator=(const FileSection&) = delete;

  Result<std::span<const std::byte>> section(std::string_view /*name*/) override {
    return fail(ErrorCode::kUnsupported, "placed only");
  }
  Result<std::size_t> size(std::string_view /*name*/) override { return bytes_; }
  Result<std::unique_ptr<Placement>> place(std::string_view /*name*/, std::byte* address) override {
    void* const mapped =
        ::mmap(address, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd_, 0);
    if (mapped != address) return fail(ErrorCode::kIo, "mmap");
    return nullptr;
  }

  std::vector<std::uint32_t> content() const {
    std::vector<std::uint32_t> values(bytes_ / sizeof(std::uint32_t));
    const auto got = ::pread(fd_, values.data(), bytes_, 0);
    REQUIRE(got == static_cast<ssize_t>(bytes_));
    return values;
  }

 private:
  const int fd_ = ::memfd_create("section", MFD_CLOEXEC);
  const std::size_t bytes_;
};

TEST_CASE("core/reserved_memory: an array over the pages of a file leaves the file as it is") {
  std::vector<std::uint32_t> values(2'500'000);  // ends within a page
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint32_t>(i);
  ReservedArray<std::uint32_t> array;
  REQUIRE(array.reserve(std::size_t{1} << 24).has_value());
  {
    FileSection file(values);
    REQUIRE(array.adopt(file, "array", values.size()).has_value());
    for (std::size_t i = 0; i < values.size(); i += 1000) array[i] = 0;
    for (std::size_t i = values.size(); i < array.committed(); ++i) CHECK(array[i] == 0);
    REQUIRE(array.ensure(10'000'000).has_value());
    array[9'999'999] = 7;
    CHECK(file.content() == values);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {  // the file is closed by now
    if (array[i] != (i % 1000 == 0 ? 0 : i)) FAIL("element " << i);
  }
  CHECK(array[9'999'999] == 7);
}

TEST_CASE("core/reserved_memory: a section of another size is not adopted") {
  const test::Sections sections = section_of({1, 2, 3});
  test::MemorySectionReader reader(sections);
  ReservedArray<std::uint32_t> array;
  REQUIRE(array.reserve(4).has_value());
  for (const std::size_t count : {std::size_t{0}, std::size_t{2}, std::size_t{4}}) {
    CHECK(array.adopt(reader, "array", count).error().code == ErrorCode::kDataLoss);
  }
  CHECK(array.adopt(reader, "array", 2).error().message ==
        "section 'array' has 12 bytes, 2 entries of 4 were expected");
  CHECK(array.adopt(reader, "other", 3).error().code == ErrorCode::kDataLoss);
  ReservedArray<std::uint64_t> wide;
  REQUIRE(wide.reserve(4).has_value());
  CHECK(wide.adopt(reader, "array", 1).error().code == ErrorCode::kDataLoss);
  CHECK(array.adopt(reader, "array", 3).has_value());
}

TEST_CASE("core/reserved_memory: a section beyond the reserve is refused") {
  const std::vector<std::uint32_t> values(1025);
  const test::Sections sections = section_of(values);
  test::MemorySectionReader reader(sections);
  ReservedArray<std::uint32_t> array;
  REQUIRE(array.reserve(1024).has_value());
  CHECK(array.adopt(reader, "array", 1025).error().code == ErrorCode::kResourceExhausted);
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
}  // namespace engram::reserved_memory_test
