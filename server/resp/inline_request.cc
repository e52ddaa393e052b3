// SPDX-License-Identifier: Apache-2.0
#include "server/resp/inline_request.h"

#include <charconv>
#include <cstddef>

namespace engram {
namespace {

constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

constexpr char unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

/// Walks one line and appends one argument at a time to the arena.
class Splitter {
 public:
  Splitter(std::string_view line, std::string& arena) : line_(line), arena_(arena) {}

  void skip_space() {
    while (!at_end() && is_space(line_[at_])) ++at_;
  }
  [[nodiscard]] bool at_end() const { return at_ == line_.size(); }

  bool argument() {
    while (!at_end() && !is_space(line_[at_])) {
      const char c = line_[at_++];
      if (c == '"' || c == '\'') {
        if (!quoted(c)) return false;
      } else {
        arena_.push_back(c);
      }
    }
    return true;
  }

 private:
  bool quoted(char quote) {
    while (!at_end()) {
      const char c = line_[at_++];
      if (c == quote) return at_end() || is_space(line_[at_]);
      if (c == '\\' && !at_end()) {
        quote == '"' ? escape() : escape_quote();
      } else {
        arena_.push_back(c);
      }
    }
    return false;
  }

  void escape() {
    unsigned value = 0;
    const char* const digits = line_.data() + at_ + 1;
    if (line_[at_] == 'x' && line_.size() - at_ > 2 &&
        std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
      arena_.push_back(static_cast<char>(value));
      at_ += 3;
      return;
    }
    arena_.push_back(unescape(line_[at_++]));
  }

  void escape_quote() {
    if (line_[at_] == '\'') {
      arena_.push_back('\'');
      ++at_;
    } else {
      arena_.push_back('\\');
    }
  }

  std::string_view line_;
  std::string& arena_;
  std::size_t at_ = 0;
};

}  // namespace

bool split_inline(std::string_view line, std::string& arena,
                  std::vector<std::string_view>& arguments) {
  arena.clear();
  arena.reserve(line.size());  // no argument is longer than its source, so the views stay
  Splitter splitter(line, arena);
  for (splitter.skip_space(); !splitter.at_end(); splitter.skip_space()) {
    const std::size_t start = arena.size();
    if (!splitter.argument()) return false;
    arguments.emplace_back(arena.data() + start, arena.size() - start);
  }
  return true;
}

}  // namespace engram
