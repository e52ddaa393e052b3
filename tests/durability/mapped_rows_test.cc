// SPDX-License-Identifier: Apache-2.0
#include "server/durability/mapped_rows.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/vector_store.h"
#include "tests/support/temporary_directory.h"

namespace engram::test::mapped_rows_test {
namespace {

constexpr std::size_t kDim = 64;
constexpr std::size_t kRowBytes = kDim * sizeof(float);
// Some 10 MB: the first chunk, and some of the next.
constexpr std::size_t kRows = 40'000;

std::vector<float> vector_of(std::size_t row) {
  std::vector<float> vector(kDim);
  for (std::size_t d = 0; d < kDim; ++d) vector[d] = static_cast<float>(row * kDim + d);
  return vector;
}

/// A file of kRows rows behind a header of ones.
std::string write_rows(const TemporaryDirectory& directory, std::size_t begin = 0) {
  std::string path = directory.path() + "/rows.bin";
  std::ofstream file(path, std::ios::binary);
  file << std::string(begin, '\x01');
  for (std::size_t row = 0; row < kRows; ++row) {
    const std::vector<float> vector = vector_of(row);
    file.write(reinterpret_cast<const char*>(vector.data()), kRowBytes);
  }
  return path;
}

std::unique_ptr<VectorStore> open_store(const std::string& path, Metric metric = Metric::kL2,
                                        std::size_t begin = 0) {
  auto pages = map_rows({path, begin}, kRowBytes, RowReads::kAtRandom);
  REQUIRE(pages.has_value());
  return std::move(*VectorStore::create(kDim, metric, Element::kF32, std::move(*pages)));
}

/// Stores rows from `first` on in the slots from slot_end() on.
void fill(VectorStore& store, std::size_t count, std::size_t first = 0) {
  for (std::size_t i = 0; i < count; ++i) {
    store.write(store.allocate().value(), vector_of(first + i));
  }
}

/// Of the slots below `count`, those that do not hold the row `first` + slot.
std::size_t count_different(const VectorStore& store, std::size_t count, std::size_t first = 0) {
  std::size_t different = 0;
  std::vector<float> vector(kDim);
  for (Slot slot = 0; slot < count; ++slot) {
    store.read(slot, vector);
    different += vector == vector_of(first + slot) ? 0 : 1;
  }
  return different;
}

/// Of the maps of `path` in this process, the KiB that are copies.
std::size_t copied_kib(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  std::size_t sum = 0;
  bool is_of_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) is_of_file = line.ends_with(path);
    std::size_t kib = 0;
    if (is_of_file && std::sscanf(line.c_str(), "Anonymous: %zu kB", &kib) == 1) sum += kib;
  }
  return sum;
}

TEST_CASE("durability/mapped_rows: rows that the file has are not copied") {
  const TemporaryDirectory directory;
  const std::string path = write_rows(directory);
  const auto store = open_store(path);
  CHECK(store->rows_place() == RowsPlace::kFile);
  fill(*store, kRows);
  CHECK(count_different(*store, kRows) == 0);
  CHECK(copied_kib(path) == 0);
  CHECK(store->check_rows().has_value());
}

TEST_CASE(
    "durability/mapped_rows: other rows are private copies, and may be more than the file's") {
  const TemporaryDirectory directory;
  const std::string path = write_rows(directory);
  {
    const auto store = open_store(path);
    fill(*store, kRows, 7);  // each in a slot that is another's in the file
    fill(*store, kRows, kRows + 7);
    CHECK(count_different(*store, 2 * kRows, 7) == 0);
    CHECK(copied_kib(path) > 0);
    CHECK(store->check_rows().has_value());
  }
  const auto store = open_store(path);
  fill(*store, kRows);
  CHECK(count_different(*store, kRows) == 0);
}

/// Chunks of mapped memory begin with the page that the last one ended in.
TEST_CASE("durability/mapped_rows: rows behind a header are not copied either") {
  for (const std::size_t begin : {std::size_t{8}, std::size_t{128}, std::size_t{4092},
                                  std::size_t{4096}, std::size_t{3 * 4096 + 64}}) {
    CAPTURE(begin);
    const TemporaryDirectory directory;
    const std::string path = write_rows(directory, begin);
    const auto store = open_store(path, Metric::kL2, begin);
    fill(*store, kRows);
    CHECK(count_different(*store, kRows) == 0);
    CHECK(copied_kib(path) == 0);
    for (Slot slot = 0; slot < kRows; ++slot) store->write(slot, vector_of(slot + 1));
    CHECK(count_different(*store, kRows, 1) == 0);
    fill(*store, kRows, kRows + 1);  // more than the file has
    CHECK(count_different(*store, 2 * kRows, 1) == 0);
    CHECK(store->check_rows().has_value());
  }
}

TEST_CASE("durability/mapped_rows: under cosine a row whose length is not one is a copy") {
  const TemporaryDirectory directory;
  const std::string path = write_rows(directory);
  const auto store = open_store(path, Metric::kCosine);
  fill(*store, 100);
  std::vector<float> vector(kDim);
  store->read(3, vector);
  for (std::size_t d = 0; d < kDim; ++d) {
    CHECK(vector[d] == doctest::Approx(vector_of(3)[d]));
  }
  CHECK(copied_kib(path) > 0);
}

TEST_CASE("durability/mapped_rows: a file that is another now is an error, and no crash") {
  const std::vector<std::pair<std::string_view, std::function<void(const std::string&)>>> changes =
      {{"cut", [](const std::string& path) { std::filesystem::resize_file(path, kRowBytes); }},
       {"emptied", [](const std::string& path) { std::ofstream(path, std::ios::trunc).flush(); }},
       {"longer", [](const std::string& path) { std::ofstream(path, std::ios::app) << 'x'; }},
       {"replaced",
        [](const std::string& path) {
          std::filesystem::copy_file(path, path + "2");
          std::filesystem::rename(path + "2", path);
        }},
       {"removed", [](const std::string& path) { std::filesystem::remove(path); }}};
  for (const auto& change : changes) {
    INFO(change.first);
    const TemporaryDirectory directory;
    const std::string path = write_rows(directory);
    const auto store = open_store(path);
    fill(*store, kRows);
    change.second(path);
    static_cast<void>(count_different(*store, kRows));
    const Status checked = store->check_rows();
    REQUIRE_FALSE(checked.has_value());
    CHECK(checked.error().code == ErrorCode::kDataLoss);
    CHECK(checked.error().message.starts_with(path + " is not what was opened"));
  }
}

TEST_CASE("durability/mapped_rows: what is no file of whole rows is refused") {
  const TemporaryDirectory directory;
  const std::string path = write_rows(directory);
  const auto refusal = [](const std::string& file, std::size_t begin, std::size_t bytes) {
    return map_rows({file, begin}, bytes, RowReads::kInOrder).error().code;
  };
  CHECK(refusal(path, 0, kRowBytes + 1) == ErrorCode::kInvalidArgument);
  CHECK(refusal(path, 4, kRowBytes) == ErrorCode::kInvalidArgument);
  CHECK(refusal(path, kRowBytes / 2, kRowBytes) == ErrorCode::kInvalidArgument);
  CHECK(refusal(path, 2, 1) == ErrorCode::kInvalidArgument);  // no place for a float
  CHECK(refusal(path, (kRows + 1) * kRowBytes, kRowBytes) == ErrorCode::kInvalidArgument);
  CHECK(refusal(directory.path(), 0, kRowBytes) == ErrorCode::kInvalidArgument);
  CHECK(refusal(path + "2", 0, kRowBytes) == ErrorCode::kNotFound);
  for (const std::size_t begin : {std::size_t{0}, kRowBytes, kRows * kRowBytes}) {
    CHECK(map_rows({path, begin}, kRowBytes, RowReads::kAtRandom).has_value());
  }
}

}  // namespace
}  // namespace engram::test::mapped_rows_test
