// SPDX-License-Identifier: Apache-2.0
// key,v1,...,vn. A key with a comma, a quote or a break stands in quotes, which are doubled within;
// one with a line break is neither written nor read.
#include <array>
#include <charconv>
#include <utility>

#include "core/row.h"
#include "core/text.h"
#include "server/hosts/cli/files/formats.h"

namespace engram {
namespace {

// A key, and the longest numbers that make sense for each dimension.
constexpr std::size_t kMostLineBytes = 4UL << 20;

std::string_view without_spaces(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

/// Takes the first field of `rest`, and its comma; false if its quotes do not end.
bool take_key(std::string_view& rest, std::string& key) {
  key.clear();
  if (!rest.starts_with('"')) {
    const std::size_t comma = rest.find(',');
    key = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    return true;
  }
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] != '"') {
      key += rest[i];
    } else if (i + 1 < rest.size() && rest[i + 1] == '"') {
      key += rest[i++];
    } else {
      const bool ends_well = i + 1 == rest.size() || rest[i + 1] == ',';
      rest.remove_prefix(std::min(i + 2, rest.size()));
      return ends_well;
    }
  }
  return false;
}

class CsvReader final : public VectorReader {
 public:
  explicit CsvReader(InputFile file) : file_(std::move(file)) {}

  Result<bool> next(VectorRow& row) override {
    for (;;) {
      const auto is_there = file_.read_line(line_, kMostLineBytes);
      if (!is_there) return tl::unexpected(is_there.error());
      if (!*is_there) return false;
      ++number_;
      if (line_.ends_with('\r')) line_.pop_back();
      if (without_spaces(line_).empty() || is_header()) continue;
      ENGRAM_TRY(read_row(row));
      return true;
    }
  }

  [[nodiscard]] bool has_keys() const noexcept override { return true; }
  [[nodiscard]] double progress() const noexcept override { return file_.progress(); }

 private:
  tl::unexpected<Error> at_line(const std::string& what) const {
    return damaged(file_, "has a bad line " + std::to_string(number_) + ": " + what);
  }

  bool is_header() const {
    if (number_ != 1) return false;
    std::string_view rest = line_;
    std::string key;
    if (!take_key(rest, key)) return false;
    const std::string_view second = rest.substr(0, rest.find(','));
    return !parse_number<float>(without_spaces(second));
  }

  Status read_row(VectorRow& row) {
    std::string_view rest = line_;
    if (!take_key(rest, row.key)) return at_line("the quotes around its key do not end");
    row.vector.clear();
    for (bool more = true; more;) {
      const std::size_t comma = rest.find(',');
      const std::string_view field = without_spaces(rest.substr(0, comma));
      const auto number = parse_number<float>(field);
      if (!number) {
        return at_line("component " + std::to_string(row.vector.size() + 1) + " is no number");
      }
      row.vector.push_back(*number);
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
    }
    if (row.vector.size() > kMaxDimension) {
      return at_line("it has more than " + std::to_string(kMaxDimension) + " components");
    }
    if (dim_ == 0) dim_ = row.vector.size();
    if (row.vector.size() == dim_) return {};
    return at_line("it has " + std::to_string(row.vector.size()) + " components, the first has " +
                   std::to_string(dim_));
  }

  InputFile file_;
  std::string line_;
  std::uint64_t number_ = 0;
  std::size_t dim_ = 0;
};

class CsvWriter final : public VectorWriter {
 public:
  explicit CsvWriter(OutputFile file) : file_(std::move(file)) {}

  Status add(const VectorRow& row) override {
    if (row.key.find_first_of("\r\n") != std::string::npos) {
      return fail(ErrorCode::kInvalidArgument,
                  "a key has a line break, which csv does not hold; jsonl does");
    }
    std::string line;
    append_key(line, row.key);
    std::array<char, 32> text;
    for (const float number : row.vector) {
      const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
      line += ',';
      line.append(text.data(), end);
    }
    line += '\n';
    return file_.write(line);
  }

  Status end() override { return file_.finish(); }

 private:
  static void append_key(std::string& line, std::string_view key) {
    if (key.find_first_of(",\"") == std::string_view::npos) {
      line.append(key);
      return;
    }
    line += '"';
    for (const char byte : key) {
      if (byte == '"') line += '"';
      line += byte;
    }
    line += '"';
  }

  OutputFile file_;
};

}  // namespace

std::unique_ptr<VectorReader> make_csv_reader(InputFile file) {
  return std::make_unique<CsvReader>(std::move(file));
}

std::unique_ptr<VectorWriter> make_csv_writer(OutputFile file) {
  return std::make_unique<CsvWriter>(std::move(file));
}

}  // namespace engram
