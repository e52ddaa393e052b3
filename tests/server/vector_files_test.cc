// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/vector_files.h"

#include <doctest/doctest.h>

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "server/hosts/cli/files/input_file.h"
#include "server/hosts/cli/files/output_file.h"
#include "tests/support/files.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace engram::vector_files_test {
namespace {

using test::make_rng;
using test::read_files;
using test::TemporaryDirectory;

const std::vector<std::string> kFormats = {"npy",   "fvecs", "bvecs", "fbin",
                                           "u8bin", "hdf5",  "csv",   "jsonl"};

bool has_bytes(const std::string& format) {
  return format == "bvecs" || format == "u8bin";
}
bool has_keys(const std::string& format) {
  return format == "csv" || format == "jsonl";
}

struct FileOnDisk {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/rows";

  void write(std::string_view bytes) const {
    std::filesystem::remove(path);  // to write over it would cost a flush
    std::ofstream(path, std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string bytes() const { return read_files(directory.path()).at("rows"); }
};

std::vector<VectorRow> random_rows(const std::string& format, std::size_t count, std::size_t dim,
                                   std::uint64_t stream) {
  auto rng = make_rng(stream);
  std::uniform_real_distribution<float> real(-3, 3);
  std::uniform_int_distribution<int> byte(0, 255);
  std::vector<VectorRow> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    rows[i].key = "key, \"" + std::to_string(i) + "\" \xc3\xa9";
    if (i % 2 == 1) rows[i].attributes = R"({"n":[1,{"s":"}]\""}],"m":)" + std::to_string(i) + "}";
    for (std::size_t j = 0; j < dim; ++j) {
      rows[i].vector.push_back(has_bytes(format) ? static_cast<float>(byte(rng)) : real(rng));
    }
  }
  return rows;
}

/// False if the build does not have the format.
bool write_rows(const FileOnDisk& file, const std::string& format,
                const std::vector<VectorRow>& rows, std::size_t dim) {
  const auto writer = open_vector_writer(file.path, format, dim);
  if (!writer && writer.error().code == ErrorCode::kUnsupported) return false;
  REQUIRE(writer);
  for (const VectorRow& row : rows) REQUIRE((*writer)->add(row));
  REQUIRE((*writer)->end());
  return true;
}

struct Outcome {
  std::vector<VectorRow> rows;
  std::string error;
};

Outcome read_rows(const FileOnDisk& file, const std::string& format) {
  Outcome outcome;
  const auto reader = open_vector_reader(file.path, format);
  if (!reader) return {.rows = {}, .error = reader.error().message};
  for (VectorRow row;;) {
    const auto is_there = (*reader)->next(row);
    if (!is_there) outcome.error = is_there.error().message;
    if (!is_there || !*is_there) return outcome;
    outcome.rows.push_back(row);
  }
}

std::string word(std::uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string npy(std::string_view dictionary, std::string_view data) {
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += word(static_cast<std::uint32_t>(dictionary.size())).substr(0, 2);
  return bytes.append(dictionary).append(data);
}

std::string npy(std::string_view type, std::string_view shape, std::string_view data) {
  return npy("{'descr': '" + std::string(type) +
                 "', 'fortran_order': False, 'shape': " + std::string(shape) + ", }",
             data);
}

std::string error_of(const std::string& format, std::string_view bytes) {
  FileOnDisk file;
  file.write(bytes);
  const Outcome outcome = read_rows(file, format);
  CHECK(outcome.rows.empty());
  return outcome.error;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

TEST_CASE("cli/files: every format gives back what was written") {
  for (const std::string& format : kFormats) {
    for (const std::size_t count : {0UL, 1UL, 333UL}) {
      CAPTURE(format);
      FileOnDisk file;
      const auto rows = random_rows(format, count, 7, count);
      if (!write_rows(file, format, rows, 7)) continue;
      const Outcome outcome = read_rows(file, format);
      REQUIRE(outcome.error == "");
      REQUIRE(outcome.rows.size() == count);
      for (std::size_t i = 0; i < count; ++i) {
        CHECK(outcome.rows[i].vector == rows[i].vector);
        if (has_keys(format)) CHECK(outcome.rows[i].key == rows[i].key);
        if (format == "jsonl") CHECK(outcome.rows[i].attributes == rows[i].attributes);
      }
      CHECK(read_files(file.directory.path()).size() == 1);
    }
  }
}

TEST_CASE("cli/files: a file that is cut anywhere is refused, or gives rows that were in it") {
  for (const std::string& format : kFormats) {
    CAPTURE(format);
    FileOnDisk file;
    const auto rows = random_rows(format, 4, 3, 11);
    if (!write_rows(file, format, rows, 3)) continue;
    const std::string whole = file.bytes();
    const std::size_t step = format == "hdf5" ? whole.size() / 40 + 1 : 1;
    for (std::size_t size = whole.size() - 1; size < whole.size(); size -= step) {
      CAPTURE(size);
      std::filesystem::resize_file(file.path, size);
      const Outcome outcome = read_rows(file, format);
      // Formats that have no count may end behind any row; a number of csv may be cut unseen.
      const bool has_count = !has_keys(format) && format != "fvecs" && format != "bvecs";
      if (has_count && format != "hdf5") {
        CHECK(contains(outcome.error, "truncated"));
        CHECK(outcome.rows.empty());
      }
      CHECK(
          (outcome.error.empty() ? outcome.rows.size() <= 4 : contains(outcome.error, file.path)));
      const std::size_t sure =
          format == "csv" && !outcome.rows.empty() ? outcome.rows.size() - 1 : outcome.rows.size();
      for (std::size_t i = 0; i < sure; ++i) CHECK(outcome.rows[i].vector == rows[i].vector);
    }
  }
}

TEST_CASE("cli/files: truncation is told with its place") {
  CHECK(contains(error_of("fbin", word(3) + word(2) + std::string(20, '\0')),
                 "is truncated: its header tells of 3 rows of 8 bytes, and it ends at byte 28, in "
                 "row 2"));
  CHECK(contains(error_of("fvecs", word(2) + std::string(8, '\0') + word(2)),
                 "ends at byte 16, in row 1 of 12 bytes"));
  CHECK(contains(error_of("fbin", word(1) + word(2) + std::string(9, '\0')),
                 "goes on behind its last row, at byte 16"));
  CHECK(contains(error_of("jsonl", R"({"id": 1, "vec)"),
                 "has a bad line 1: it is no JSON, or is cut"));
}

TEST_CASE("cli/files: headers that lie are refused, and make nothing large") {
  const std::string most = std::to_string(std::numeric_limits<std::uint64_t>::max());
  CHECK(contains(error_of("npy", npy("<f4", "(" + most + ", 4)", "")), "truncated"));
  CHECK(contains(error_of("npy", npy("<f4", "(4, " + most + ")", "")), "dimensions"));
  CHECK(contains(error_of("npy", npy("<f4", "(1, 0)", "")), "0 dimensions"));
  CHECK(contains(error_of("npy", npy("<f4", "(4,)", "")), "two dimensions"));
  CHECK(contains(error_of("npy", npy("<f4", "(4, 2, 2)", "")), "two dimensions"));
  CHECK(contains(error_of("npy", npy("<f4", "(-1, 2)", "")), "two dimensions"));
  CHECK(contains(error_of("npy", npy(">f4", "(1, 1)", "1234")), "a type that is not read"));
  CHECK(contains(error_of("npy", npy("|O", "(1, 1)", "1234")), "a type that is not read"));
  CHECK(contains(error_of("npy", npy("{'descr': '<f4', 'shape': (1, 1)}", "1234")),
                 "without descr, fortran_order or shape"));
  CHECK(contains(
      error_of("npy", npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "1234")),
      "Fortran"));
  CHECK(contains(error_of("npy", std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)),
                 "header of 4294967295 bytes"));
  CHECK(contains(error_of("npy", "no npy at all"), "is no npy file"));
  for (const char* const format : {"fbin", "u8bin"}) {
    CHECK(contains(error_of(format, word(0xffffffff) + word(0xffff)), "truncated"));
    CHECK(contains(error_of(format, word(1) + word(0xffffffff)), "4294967295 dimensions"));
    CHECK(contains(error_of(format, word(1) + word(0)), "0 dimensions"));
  }
  CHECK(contains(error_of("fvecs", word(0xffffffff)), "4294967295 dimensions"));
}

TEST_CASE("cli/files: rows of differing lengths are refused at the row") {
  FileOnDisk file;
  file.write(word(2) + std::string(8, '\0') + word(3) + std::string(8, '\0'));
  const Outcome vecs = read_rows(file, "fvecs");
  CHECK(vecs.rows.size() == 1);
  CHECK(contains(vecs.error, "says that row 1, at byte 12, has 3 dimensions; the first has 2"));
  file.write("a,1,2\nb,1,2,3\n");
  const Outcome csv = read_rows(file, "csv");
  CHECK(contains(csv.error, "has a bad line 2: it has 3 components, the first has 2"));
  file.write("{\"id\":1,\"vector\":[1]}\n\n{\"id\":2,\"vector\":[1,2]}\n");
  const Outcome jsonl = read_rows(file, "jsonl");
  CHECK(
      contains(jsonl.error, "has a bad line 3: its \"vector\" has 2 components, the first has 1"));
}

TEST_CASE("cli/files: npy has elements of every type of numbers") {
  const auto first_of = [](std::string_view type, const auto& value) {
    FileOnDisk file;
    file.write(npy(type, "(1, 1)", {reinterpret_cast<const char*>(&value), sizeof value}));
    const Outcome outcome = read_rows(file, "npy");
    REQUIRE(outcome.error == "");
    return outcome.rows.at(0).vector.at(0);
  };
  CHECK(first_of("<f8", 0.1) == 0.1F);
  CHECK(first_of("|u1", std::uint8_t{200}) == 200);
  CHECK(first_of("|i1", std::int8_t{-100}) == -100);
  CHECK(first_of("<i2", std::int16_t{-30000}) == -30000);
  CHECK(first_of("<i4", std::int32_t{1 << 20}) == 1048576);
  CHECK(first_of("<i8", std::int64_t{-5}) == -5);
  CHECK(first_of("<f2", std::uint16_t{0x3c00}) == 1);
  CHECK(first_of("<f2", std::uint16_t{0xc100}) == -2.5F);
  CHECK(first_of("<f2", std::uint16_t{0x0001}) == 0x1p-24F);
  CHECK(first_of("<f2", std::uint16_t{0x7bff}) == 65504);
}

TEST_CASE("cli/files: csv may have a header, quotes, spaces and breaks of Windows") {
  FileOnDisk file;
  file.write("key,x,y\r\na, 1 ,2\r\n\r\n\"b,\"\"c\"\"\",3,4");
  const Outcome outcome = read_rows(file, "csv");
  CHECK(outcome.error == "");
  REQUIRE(outcome.rows.size() == 2);
  CHECK(outcome.rows[0].vector == std::vector<float>{1, 2});
  CHECK(outcome.rows[1].key == "b,\"c\"");
  CHECK(contains(error_of("csv", "\"a,1,2"), "line 1: the quotes around its key do not end"));
  CHECK(contains(error_of("csv", "a,1,x"), "line 1: component 2 is no number"));
  CHECK(contains(error_of("csv", "k,v\nb\n"), "line 2: component 1 is no number"));
}

TEST_CASE("cli/files: what is wrong with a line of jsonl is told") {
  CHECK(contains(error_of("jsonl", "[1]"), "it is no object"));
  CHECK(contains(error_of("jsonl", R"({"vector": [1]})"), R"("id" must be)"));
  CHECK(contains(error_of("jsonl", R"({"id": 1.5, "vector": [1]})"), R"("id" must be)"));
  CHECK(contains(error_of("jsonl", R"({"id": 1})"), R"("vector" must be)"));
  CHECK(contains(error_of("jsonl", R"({"id": 1, "vector": ["1"]})"), R"("vector" must be)"));
  CHECK(contains(error_of("jsonl", R"({"id": 1, "vector": []})"), "has 0 components"));
  CHECK(contains(error_of("jsonl", R"({"id": 1, "vector": [1], "metadata": 3})"),
                 R"("metadata" must be an object)"));
}

TEST_CASE("cli/files: a writer that does not end leaves nothing") {
  for (const std::string& format : kFormats) {
    CAPTURE(format);
    FileOnDisk file;
    {
      const auto writer = open_vector_writer(file.path, format, 2);
      if (!writer && writer.error().code == ErrorCode::kUnsupported) continue;
      REQUIRE(writer);
      REQUIRE((*writer)->add({.key = "a", .vector = {1, 2}}));
    }
    CHECK(read_files(file.directory.path()).empty());
  }
}

TEST_CASE("cli/files: what a format cannot hold is refused") {
  FileOnDisk file;
  for (const float value : {0.5F, -1.0F, 256.0F}) {
    const auto writer = open_vector_writer(file.path, "u8bin", 1);
    CHECK(contains((*writer)->add({.key = "a", .vector = {value}}).error().message,
                   "no whole number in 0..255"));
  }
  CHECK(!(*open_vector_writer(file.path, "csv", 1))->add({.key = "a\nb", .vector = {1}}));
  CHECK(!(*open_vector_writer(file.path, "jsonl", 1))->add({.key = "\xff", .vector = {1}}));
}

TEST_CASE("cli/files: a whole number is a key of jsonl, and metadata comes in one line") {
  FileOnDisk file;
  file.write(R"({ "metadata" : {"a" : [1, -1.5e3]} , "vector":[-0.0],"id" : 17 })");
  const Outcome outcome = read_rows(file, "jsonl");
  REQUIRE(outcome.error == "");
  CHECK(outcome.rows.at(0).key == "17");
  CHECK(outcome.rows.at(0).attributes == R"({"a":[1,-1500.0]})");
  CHECK(std::signbit(outcome.rows.at(0).vector.at(0)));
}

TEST_CASE("cli/files: zeros keep their signs") {
  for (const std::string& format : kFormats) {
    if (has_bytes(format)) continue;
    CAPTURE(format);
    FileOnDisk file;
    if (!write_rows(file, format, {{.key = "a", .vector = {-0.0F, 0.0F}}}, 2)) continue;
    const Outcome outcome = read_rows(file, format);
    REQUIRE(outcome.error == "");
    CHECK(std::signbit(outcome.rows.at(0).vector.at(0)));
    CHECK(!std::signbit(outcome.rows.at(0).vector.at(1)));
  }
}

TEST_CASE("cli/files: what lies where a file is written beside its name is left alone") {
  const FileOnDisk file;
  const std::string beside = file.path + ".part-" + std::to_string(::getpid());
  const std::string other = file.directory.path() + "/other";
  std::ofstream(other) << "kept";
  std::filesystem::create_symlink(other, beside);
  {
    auto output = OutputFile::create(file.path);
    REQUIRE(output);
    REQUIRE(output->write("new"));
    CHECK(output->temporary_path() != beside);
    REQUIRE(output->finish());
  }
  CHECK(file.bytes() == "new");
  CHECK(std::filesystem::file_size(other) == 4);
  CHECK(std::filesystem::is_symlink(beside));
}

TEST_CASE("cli/files: what was peeked at is read again") {
  const FileOnDisk file;
  file.write("abcdef");
  auto input = InputFile::open(file.path);
  REQUIRE(input);
  std::array<std::byte, 4> room{};
  CHECK(input->peek(room) == 4);
  CHECK(input->position() == 0);
  std::string line;
  CHECK(input->read_line(line, 100) == true);
  CHECK(line == "abcdef");
}

TEST_CASE("cli/files: bytes that were changed at random never do harm") {
  auto rng = make_rng(99);
  for (const std::string& format : kFormats) {
    if (format == "hdf5") continue;  // libhdf5's
    FileOnDisk file;
    write_rows(file, format, random_rows(format, 5, 4, 5), 4);
    const std::string whole = file.bytes();
    for (int i = 0; i < 30; ++i) {
      std::string bytes = whole;
      for (int j = 0; j < 3; ++j) bytes[rng() % bytes.size()] = static_cast<char>(rng());
      file.write(bytes);
      const Outcome outcome = read_rows(file, format);
      CHECK(outcome.rows.size() <= bytes.size());
    }
  }
}

}  // namespace
}  // namespace engram::vector_files_test
