// SPDX-License-Identifier: Apache-2.0
// {"id": "a" or a whole number, "vector": [1, 0.5], "metadata": {...}}, one a line.
#include <cmath>
#include <utility>

#include "core/row.h"
#include "core/utf8.h"
#include "server/hosts/cli/files/formats.h"
#include "server/hosts/cli/output.h"
#include "server/json/json.h"
#include "server/json/json_writer.h"

namespace engram {
namespace {

constexpr std::size_t kMostJsonLineBytes = 4UL << 20;
// What holds metadata, and the line around it.
constexpr std::size_t kMostJsonDepth = 34;

class JsonLinesReader final : public VectorReader {
 public:
  explicit JsonLinesReader(InputFile file)
      : file_(std::move(file)), json_({.bytes = kMostJsonLineBytes, .depth = kMostJsonDepth}) {}

  Result<bool> next(VectorRow& row) override {
    do {
      const auto is_there = file_.read_line(line_, kMostJsonLineBytes);
      if (!is_there) return tl::unexpected(is_there.error());
      if (!*is_there) return false;
      ++number_;
    } while (line_.find_first_not_of(" \t\r") == std::string::npos);
    const auto object = json_.read(line_);
    if (!object || object->kind() != JsonKind::kObject) {
      return at_line(object ? "it is no object" : "it is no JSON, or is cut");
    }
    ENGRAM_TRY(read_key(*object, row));
    ENGRAM_TRY(read_vector(*object, row));
    ENGRAM_TRY(read_attributes(*object, row));
    return true;
  }

  [[nodiscard]] bool has_keys() const noexcept override { return true; }
  [[nodiscard]] double progress() const noexcept override { return file_.progress(); }

 private:
  tl::unexpected<Error> at_line(const std::string& what) const {
    return damaged(file_, "has a bad line " + std::to_string(number_) + ": " + what);
  }

  Status read_key(const JsonValue& object, VectorRow& row) const {
    const auto id = object.member("id");
    if (id && id->kind() == JsonKind::kString) {
      row.key = id->string();
      return {};
    }
    if (!id || id->kind() != JsonKind::kNumber || std::trunc(id->number()) != id->number()) {
      return at_line(R"(its "id" must be a string or a whole number)");
    }
    row.key = id->text();
    return {};
  }

  Status read_vector(const JsonValue& object, VectorRow& row) {
    const auto vector = object.member("vector");
    if (!vector || vector->kind() != JsonKind::kArray) {
      return at_line(R"(its "vector" must be an array of numbers)");
    }
    row.vector.clear();
    if (!vector->append_numbers(row.vector)) {
      return at_line(R"(its "vector" must be an array of numbers)");
    }
    if (row.vector.empty() || row.vector.size() > kMaxDimension) {
      return at_line(R"(its "vector" has )" + std::to_string(row.vector.size()) +
                     " components, expected 1 to " + std::to_string(kMaxDimension));
    }
    if (dim_ == 0) dim_ = row.vector.size();
    if (row.vector.size() == dim_) return {};
    return at_line(R"(its "vector" has )" + std::to_string(row.vector.size()) +
                   " components, the first has " + std::to_string(dim_));
  }

  Status read_attributes(const JsonValue& object, VectorRow& row) const {
    row.attributes.reset();
    const auto metadata = object.member("metadata");
    if (!metadata || metadata->kind() == JsonKind::kNull) return {};
    if (metadata->kind() != JsonKind::kObject) {
      return at_line(R"(its "metadata" must be an object)");
    }
    row.attributes = metadata->text();
    return {};
  }

  InputFile file_;
  JsonReader json_;
  std::string line_;
  std::uint64_t number_ = 0;
  std::size_t dim_ = 0;
};

class JsonLinesWriter final : public VectorWriter {
 public:
  explicit JsonLinesWriter(OutputFile file) : file_(std::move(file)) {}

  Status add(const VectorRow& row) override {
    if (!is_utf8(row.key)) {
      return fail(
          ErrorCode::kInvalidArgument,
          "the key '" + printable(row.key) + "' is no UTF-8, which jsonl has to be; csv need not");
    }
    std::string line;
    JsonWriter json(line);
    json.begin_object();
    json.name("id").string(row.key);
    json.name("vector").numbers(row.vector);
    if (row.attributes) json.name("metadata").raw(*row.attributes);
    json.end_object();
    line += '\n';
    return file_.write(line);
  }

  Status end() override { return file_.finish(); }
  [[nodiscard]] bool keeps_attributes() const noexcept override { return true; }

 private:
  OutputFile file_;
};

}  // namespace

std::unique_ptr<VectorReader> make_json_lines_reader(InputFile file) {
  return std::make_unique<JsonLinesReader>(std::move(file));
}

std::unique_ptr<VectorWriter> make_json_lines_writer(OutputFile file) {
  return std::make_unique<JsonLinesWriter>(std::move(file));
}

}  // namespace engram
