// SPDX-License-Identifier: Apache-2.0
#include "server/durability/row_files.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "core/vector_store.h"
#include "server/net/unique_fd.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace engram::test::row_files_test {
namespace {

constexpr std::size_t kDim = 64;
constexpr std::size_t kRows =
    20'000;  // 5 MB: the heap's part, the first chunk and some of the next

std::unique_ptr<VectorStore> make_store(std::unique_ptr<RowPages> pages) {
  return std::move(*VectorStore::create(kDim, Metric::kL2, Element::kF32, std::move(pages)));
}

std::vector<float> vector_of(std::size_t row) {
  std::vector<float> vector(kDim);
  for (std::size_t d = 0; d < kDim; ++d) vector[d] = static_cast<float>(row * kDim + d);
  return vector;
}

Status fill(VectorStore& store, std::size_t rows) {
  for (std::size_t row = store.slot_end(); row < rows; ++row) {
    const auto slot = store.allocate();
    if (!slot) return tl::unexpected(slot.error());
    store.write(*slot, vector_of(row));
  }
  return {};
}

/// Bytes of memory that are mapped from files without a name.
std::size_t bytes_of_unnamed_files() {
  std::ifstream maps("/proc/self/maps");
  std::size_t bytes = 0;
  for (std::string line; std::getline(maps, line);) {
    std::size_t begin = 0;
    std::size_t end = 0;
    const bool is_unnamed = line.ends_with("(deleted)") && line.find(" rw-s ") != std::string::npos;
    if (is_unnamed && std::sscanf(line.c_str(), "%zx-%zx", &begin, &end) == 2) bytes += end - begin;
  }
  return bytes;
}

/// How many rows are not what was written.
std::size_t count_different(const VectorStore& store) {
  std::size_t different = 0;
  std::vector<float> vector(kDim);
  for (Slot slot = 0; slot < store.slot_end(); ++slot) {
    store.read(slot, vector);
    different += vector != vector_of(slot) ? 1 : 0;
  }
  return different;
}

/// A file that the test can cut off and fill up.
class FaultyFile final : public UnnamedFile {
 public:
  explicit FaultyFile(int fd, const std::optional<std::size_t>& room) : fd_(fd), room_(room) {}

  Status extend(std::byte* address, std::size_t bytes) override {
    if (room_ && size_ + bytes > *room_) return fail(ErrorCode::kNoSpace, "the disk is full");
    REQUIRE(::ftruncate(fd_, static_cast<off_t>(size_ + bytes)) == 0);
    void* const mapped = ::mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_,
                                static_cast<off_t>(size_));
    REQUIRE(mapped != MAP_FAILED);
    size_ += bytes;
    return {};
  }

 private:
  const int fd_;
  const std::optional<std::size_t>& room_;
  std::size_t size_ = 0;
};

/// Gives such files, and nothing else.
class FaultyDisk final : public FileSystem {
 public:
  Result<std::unique_ptr<UnnamedFile>> create_unnamed(const std::string&) override {
    return std::make_unique<FaultyFile>(fd_.get(), room_);
  }
  void cut_off() const { REQUIRE(::ftruncate(fd_.get(), 0) == 0); }
  void set_room(std::optional<std::size_t> bytes) { room_ = bytes; }

  Result<std::unique_ptr<WritableFile>> create(const std::string&) override { return none(); }
  Result<std::unique_ptr<WritableFile>> open_for_append(const std::string&) override {
    return none();
  }
  Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string&) override {
    return none();
  }
  Status rename(const std::string&, const std::string&) override { return none(); }
  Status remove(const std::string&) override { return none(); }
  Result<std::vector<std::string>> list(const std::string&) override { return none(); }
  Status sync_directory(const std::string&) override { return none(); }
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string&) override { return none(); }

 private:
  static tl::unexpected<Error> none() { return fail(ErrorCode::kUnsupported, "rows only"); }

  const UniqueFd fd_{::memfd_create("rows", MFD_CLOEXEC)};
  std::optional<std::size_t> room_;
};

TEST_CASE("durability/row_files: rows on the disk are what was written, and take no memory") {
  const TemporaryDirectory directory;
  const RowFiles files(posix_file_system(), directory.path());
  for (const RowReads reads : {RowReads::kInOrder, RowReads::kAtRandom}) {
    const auto store = make_store(files.make(reads));
    const std::size_t mapped = mapped_bytes();
    REQUIRE(fill(*store, kRows).has_value());
    CHECK(count_different(*store) == 0);
    CHECK(store->check_rows().has_value());
    CHECK(store->rows_place() == RowsPlace::kDisk);
    CHECK(mapped_bytes() - mapped < kRows * kDim);  // a quarter of the rows: factors, sets
    CHECK(store->memory_bytes() < kRows * kDim);
    CHECK(bytes_of_unnamed_files() > kRows * kDim * sizeof(float) * 9 / 10);
  }
  CHECK(posix_file_system().list(directory.path())->empty());
}

TEST_CASE("durability/row_files: a disk that is full refuses the next row, and keeps the others") {
  FaultyDisk disk;
  const RowFiles files(disk, "");
  disk.set_room(std::size_t{2} << 20);
  const auto store = make_store(files.make(RowReads::kAtRandom));
  const Status filled = fill(*store, kRows);
  REQUIRE(!filled);
  CHECK(filled.error().code == ErrorCode::kNoSpace);
  CHECK(store->slot_end() > 4096);
  CHECK(count_different(*store) == 0);
  disk.set_room(std::nullopt);
  REQUIRE(fill(*store, kRows).has_value());
  CHECK(count_different(*store) == 0);
}

TEST_CASE("durability/row_files: what the disk lost reads as zeros, and the store says so") {
  FaultyDisk disk;
  const RowFiles files(disk, "");
  const auto store = make_store(files.make(RowReads::kAtRandom));
  REQUIRE(fill(*store, kRows).has_value());
  REQUIRE(store->check_rows().has_value());
  disk.cut_off();
  CHECK(count_different(*store) > kRows / 2);
  const Status sound = store->check_rows();
  REQUIRE(!sound);
  CHECK(sound.error().code == ErrorCode::kDataLoss);
  std::vector<float> vector(kDim);
  store->read(kRows - 1, vector);
  CHECK(vector == std::vector<float>(kDim));
}

}  // namespace
}  // namespace engram::test::row_files_test
