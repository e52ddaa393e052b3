// SPDX-License-Identifier: Apache-2.0
#include "core/row_blocks.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "core/growing_array.h"
#include "core/slot_set.h"
#include "tests/support/memory_sections.h"
#include "tests/support/scarce_memory.h"

namespace engram::row_blocks_test {
namespace {

constexpr RowLayout kLayouts[] = {kVectorRows, kSharedRows, kCodeRows};

/// Row sizes that fill pieces and blocks evenly, and others; some are larger than a first piece.
constexpr std::size_t kRowSizes[] = {4, 8, 24, 64, 192, 1000, 4096, std::size_t{256} << 10};

void write_number(RowBlocks& rows, Slot slot) {
  std::memcpy(rows.row(slot), &slot, sizeof slot);
}

Slot number_in(const RowBlocks& rows, Slot slot) {
  Slot number;
  std::memcpy(&number, rows.row(slot), sizeof number);
  return number;
}

/// The first slots, and those around every size at which rows are laid out differently.
std::vector<Slot> telling_slots(std::size_t row_bytes) {
  std::vector<Slot> slots;
  for (std::size_t bytes = 1; bytes <= std::size_t{8} << 20; bytes *= 2) {
    const std::size_t slot = bytes / row_bytes;
    for (std::size_t i = slot < 2 ? 0 : slot - 2; i < slot + 3; ++i) {
      slots.push_back(static_cast<Slot>(i));
    }
  }
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

TEST_CASE("core/row_blocks: what was read of a row stays readable and true as rows are added") {
  for (const RowLayout& layout : kLayouts) {
    for (const std::size_t row_bytes : kRowSizes) {
      CAPTURE(row_bytes);
      RowBlocks rows(row_bytes, layout);
      std::vector<std::pair<Slot, const std::byte*>> seen;
      for (const Slot slot : telling_slots(row_bytes)) {
        REQUIRE(rows.ensure(std::size_t{slot} + 1).has_value());
        REQUIRE(rows.ready() > slot);
        CHECK(number_in(rows, slot) == 0);
        write_number(rows, slot);
        seen.emplace_back(slot, rows.row(slot));
        if (row_bytes % kRowAlignment == 0) {
          CHECK(reinterpret_cast<std::uintptr_t>(rows.row(slot)) % kRowAlignment == 0);
        }
      }
      for (const auto& [slot, address] : seen) {
        CHECK(std::memcmp(address, &slot, sizeof slot) == 0);
        CHECK(number_in(rows, slot) == slot);
        CHECK((layout.moves || rows.row(slot) == address));
      }
    }
  }
}

TEST_CASE("core/row_blocks: a run is contiguous, and ends where rows that are ready do or sooner") {
  for (const RowLayout& layout : kLayouts) {
    for (const std::size_t row_bytes : kRowSizes) {
      RowBlocks rows(row_bytes, layout);
      const std::size_t count = (std::size_t{3} << 20) / row_bytes + 1;
      for (const std::size_t end : {count / 20 + 1, count}) {
        REQUIRE(rows.ensure(end).has_value());
        std::size_t runs = 0;
        for (std::size_t slot = 0; slot < end; ++runs) {
          const std::size_t length = rows.run_length(static_cast<Slot>(slot));
          REQUIRE(length >= 1);
          const std::size_t last = std::min(slot + length, end) - 1;
          CHECK(rows.row(static_cast<Slot>(last)) ==
                rows.row(static_cast<Slot>(slot)) + (last - slot) * row_bytes);
          slot += length;
        }
        CHECK(runs <= (layout.block_bytes < kHugePage ? 200 : 4));
      }
    }
  }
}

TEST_CASE(
    "core/row_blocks: growth that memory runs out for takes nothing back, and goes on later") {
  constexpr Slot kRows = 3000;  // of three blocks
  for (const RowLayout& layout : kLayouts) {
    for (std::size_t allocations = 0; allocations < 4; ++allocations) {
      CAPTURE(allocations);
      RowBlocks rows(64, layout);
      RowBlocks others(64, layout);  // take what `rows` gave back
      {
        const test::ScarceMemory scarce(allocations);
        const bool has_grown = rows.ensure(kRows).has_value();
        CHECK(has_grown == (rows.ready() >= kRows));
        CHECK((has_grown || allocations < 3));
      }
      const auto ready = static_cast<Slot>(rows.ready());
      for (Slot slot = 0; slot < ready; ++slot) write_number(rows, slot);
      const Slot end = 3 * kRows;
      REQUIRE(others.ensure(kRows).has_value());
      REQUIRE(rows.ensure(end).has_value());
      for (Slot slot = ready; slot < end; ++slot) write_number(rows, slot);
      for (Slot slot = 0; slot < kRows; ++slot) std::memset(others.row(slot), 0xFF, 64);
      Slot wrong = 0;
      for (Slot slot = 0; slot < end; ++slot) wrong += number_in(rows, slot) != slot;
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("core/row_blocks: ten rows cost some hundred bytes of the heap, and no mapping") {
  const std::size_t mapped_before = mapped_bytes();
  for (const RowLayout& layout : {kVectorRows, kSharedRows}) {
    RowBlocks rows(64, layout);
    REQUIRE(rows.ensure(10).has_value());
    if (layout.moves) CHECK(rows.ready() == 10);
    REQUIRE(rows.ensure(4096).has_value());
    CHECK(rows.ready() == 4096);
    CHECK(mapped_bytes() == mapped_before);
    REQUIRE(rows.ensure(4097).has_value());
    CHECK(mapped_bytes() > mapped_before);
    CHECK(mapped_bytes() - mapped_before <= rows.ready() * 64 + kPageBytes);
    CHECK(rows.ready() <= 2 * 4096 + 1);
  }
  SlotSet slots;
  GrowingArray<std::uint64_t> elements;
  REQUIRE(slots.ensure(10).has_value());
  CHECK(slots.memory_bytes() <= 128);
  REQUIRE(elements.ensure(10).has_value());
  CHECK(elements.ready_bytes() <= 128);
  for (std::size_t count = 1000; count <= 1'000'000; count += 1000) {  // as inserts make them grow
    REQUIRE(slots.ensure(count).has_value());
    REQUIRE(elements.ensure(count).has_value());
  }
  CHECK(mapped_bytes() == mapped_before);
}

test::Sections save(const RowBlocks& rows, const SlotSet& stored) {
  test::Sections sections;
  test::MemorySectionWriter writer(sections);
  REQUIRE(rows.save(writer, "rows", stored).has_value());
  return sections;
}

TEST_CASE("core/row_blocks: what was saved is loaded, small or large, and grows behind its end") {
  for (const RowLayout& layout : kLayouts) {
    for (const std::size_t row_bytes : kRowSizes) {
      for (const std::size_t bytes :
           {std::size_t{1}, std::size_t{60'000}, std::size_t{70'000}, std::size_t{300'000},
            std::size_t{2} << 20, std::size_t{5} << 20}) {
        const auto count = static_cast<Slot>(bytes / row_bytes + 1);
        CAPTURE(row_bytes);
        CAPTURE(count);
        RowBlocks rows(row_bytes, layout);
        SlotSet stored;
        REQUIRE(rows.ensure(count).has_value());
        for (Slot slot = 0; slot < count; ++slot) {
          write_number(rows, slot);
          if (slot % 7 != 3 || slot + 1 == count) REQUIRE(stored.insert(slot).has_value());
        }
        const test::Sections sections = save(rows, stored);
        RowBlocks loaded(row_bytes, layout);
        test::MemorySectionReader reader(sections);
        REQUIRE(loaded.load(reader, "rows", count).has_value());
        CHECK(save(loaded, stored) == sections);
        const Slot more = 2 * count + 1000;
        REQUIRE(loaded.ensure(std::size_t{more} + 1).has_value());
        CHECK(number_in(loaded, more) == 0);
        write_number(loaded, more);
        Slot wrong = 0;
        for (Slot slot = 0; slot < count; ++slot) {
          wrong += number_in(loaded, slot) != (stored.contains(slot) ? slot : 0);
        }
        CHECK(wrong == 0);
        CHECK(number_in(loaded, more) == more);
      }
    }
  }
}

TEST_CASE("core/row_blocks: readers walk rows while the owner adds some and the first move") {
  constexpr Slot kRows = 20'000;
  RowBlocks rows(64, kVectorRows);
  std::atomic<Slot> published{0};
  std::atomic<bool> failed{false};
  const auto read = [&] {
    for (Slot end = 0; end < kRows;) {
      end = published.load(std::memory_order_acquire);
      for (Slot slot = 0; slot < end; slot += 1 + slot / 8) {
        if (number_in(rows, slot) != slot) failed = true;
      }
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) readers.emplace_back(read);
  for (Slot slot = 0; slot < kRows; ++slot) {
    REQUIRE(rows.ensure(std::size_t{slot} + 1).has_value());
    write_number(rows, slot);
    published.store(slot + 1, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(!failed);
}

TEST_CASE("core/growing_array: elements start at zero and stay where they are as the array grows") {
  GrowingArray<std::uint64_t> array;
  CHECK(array.ready() == 0);
  REQUIRE(array.ensure(1).has_value());
  std::uint64_t* const first = &array[0];
  array[0] = 42;
  for (std::size_t count = 2; count <= std::size_t{1} << 22; count *= 2) {
    REQUIRE(array.ensure(count).has_value());
    CHECK(array.ready() >= count);
    CHECK(array[count - 1] == 0);
    CHECK(&array[0] == first);
  }
  CHECK(array[0] == 42);
  CHECK(array.ready_bytes() == array.ready() * sizeof(std::uint64_t));
}

TEST_CASE("core/growing_array: growth beyond the slots that there can be changes nothing") {
  GrowingArray<std::uint32_t> array;
  REQUIRE(array.ensure(10).has_value());
  const std::size_t ready = array.ready();
  const auto one_more = array.ensure(kMaxSlots + 1);
  REQUIRE(!one_more.has_value());
  CHECK(one_more.error().code == ErrorCode::kResourceExhausted);
  CHECK(one_more.error().message == "an index has room for 268435456 rows, 268435457 needed");
  CHECK(!array.ensure(std::numeric_limits<std::size_t>::max() / 2).has_value());
  CHECK(array.ready() == ready);
}

test::Sections section_of(const std::vector<std::uint32_t>& values) {
  test::Sections sections;
  test::MemorySectionWriter writer(sections);
  REQUIRE(writer.begin("array").has_value());
  REQUIRE(writer.append(std::as_bytes(std::span(values))).has_value());
  return sections;
}

TEST_CASE("core/growing_array: an array adopts a section, and grows behind it in place") {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1024},
                                  std::size_t{1025}, std::size_t{3'000'000}}) {
    CAPTURE(count);
    std::vector<std::uint32_t> values(count);
    for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<std::uint32_t>(i) + 1;
    const test::Sections sections = section_of(values);
    const std::size_t mapped_before = mapped_bytes();
    {
      GrowingArray<std::uint32_t> array;
      test::MemorySectionReader reader(sections);
      REQUIRE(array.adopt(reader, "array", count).has_value());
      CHECK(array.ready() >= count);
      CHECK(array.ready() < count + 16);
      const auto is_as_saved = [&] {
        for (std::size_t i = 0; i < count; ++i) {
          if (array[i] != values[i]) return false;
        }
        return true;
      };
      CHECK(is_as_saved());
      for (std::size_t i = count; i < array.ready(); ++i) CHECK(array[i] == 0);

      REQUIRE(array.ensure(count + 5000).has_value());
      CHECK(is_as_saved());
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

TEST_CASE("core/growing_array: an array over the pages of a file leaves the file as it is") {
  std::vector<std::uint32_t> values(2'500'000);  // ends within a page
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint32_t>(i);
  GrowingArray<std::uint32_t> array;
  {
    FileSection file(values);
    REQUIRE(array.adopt(file, "array", values.size()).has_value());
    for (std::size_t i = 0; i < values.size(); i += 1000) array[i] = 0;
    for (std::size_t i = values.size(); i < array.ready(); ++i) CHECK(array[i] == 0);
    REQUIRE(array.ensure(10'000'000).has_value());
    array[9'999'999] = 7;
    CHECK(file.content() == values);
  }
  for (std::size_t i = 0; i < values.size(); ++i) {  // the file is closed by now
    if (array[i] != (i % 1000 == 0 ? 0 : i)) FAIL("element " << i);
  }
  CHECK(array[9'999'999] == 7);
}

TEST_CASE("core/growing_array: a section of another size is not adopted") {
  const test::Sections sections = section_of({1, 2, 3});
  test::MemorySectionReader reader(sections);
  GrowingArray<std::uint32_t> array;
  for (const std::size_t count : {std::size_t{0}, std::size_t{2}, std::size_t{4}}) {
    CHECK(array.adopt(reader, "array", count).error().code == ErrorCode::kDataLoss);
  }
  CHECK(array.adopt(reader, "array", 2).error().message ==
        "section 'array' has 12 bytes, 8 were expected for 2 slots");
  CHECK(array.adopt(reader, "other", 3).error().code == ErrorCode::kDataLoss);
  GrowingArray<std::uint64_t> wide;
  CHECK(wide.adopt(reader, "array", 1).error().code == ErrorCode::kDataLoss);
  CHECK(array.adopt(reader, "array", 3).has_value());
}

TEST_CASE("core/growing_array: writers grow the array while readers walk it") {
  constexpr std::size_t kCount = 200'000;
  constexpr std::size_t kWriters = 2;
  GrowingArray<std::atomic<std::uint32_t>> array;
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
}  // namespace engram::row_blocks_test
