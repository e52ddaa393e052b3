// SPDX-License-Identifier: Apache-2.0
#include "server/commands/glob.h"

#include <cstddef>
#include <utility>

#include "core/text.h"

namespace engram {
namespace {

class Matcher {
 public:
  Matcher(std::string_view pattern, std::string_view text, bool ignore_case)
      : pattern_(pattern), text_(text), ignore_case_(ignore_case) {}

  /// Only the last star can need another try: what an earlier one matched can stay as it was,
  /// because everything up to the later star has been found as early as possible.
  bool match() {
    std::size_t star = std::string_view::npos;
    std::size_t star_text = 0;
    while (at_ < text_.size()) {
      if (in_pattern_ < pattern_.size() && pattern_[in_pattern_] == '*') {
        star = ++in_pattern_;
        star_text = at_;
      } else if (in_pattern_ < pattern_.size() && match_one()) {
        ++at_;
      } else if (star != std::string_view::npos) {
        in_pattern_ = star;
        at_ = ++star_text;
      } else {
        return false;
      }
    }
    while (in_pattern_ < pattern_.size() && pattern_[in_pattern_] == '*') ++in_pattern_;
    return in_pattern_ == pattern_.size();
  }

 private:
  /// Matches one byte of the text against one element of the pattern and moves behind the element.
  bool match_one() {
    const char c = pattern_[in_pattern_++];
    if (c == '?') return true;
    if (c == '[') return match_class();
    if (c == '\\' && in_pattern_ < pattern_.size()) {
      return fold(pattern_[in_pattern_++]) == fold(text_[at_]);
    }
    return fold(c) == fold(text_[at_]);
  }

  /// A class that is not closed ends with the pattern.
  bool match_class() {
    const bool negated = in_pattern_ < pattern_.size() && pattern_[in_pattern_] == '^';
    if (negated) ++in_pattern_;
    bool found = false;
    while (in_pattern_ < pattern_.size() && pattern_[in_pattern_] != ']') {
      found = match_member() || found;
    }
    if (in_pattern_ < pattern_.size()) ++in_pattern_;
    return found != negated;
  }

  bool match_member() {
    const char c = fold(text_[at_]);
    const std::size_t left = pattern_.size() - in_pattern_;
    if (pattern_[in_pattern_] == '\\' && left >= 2) {
      in_pattern_ += 2;
      return fold(pattern_[in_pattern_ - 1]) == c;
    }
    if (left >= 3 && pattern_[in_pattern_ + 1] == '-') {
      auto low = static_cast<unsigned char>(fold(pattern_[in_pattern_]));
      auto high = static_cast<unsigned char>(fold(pattern_[in_pattern_ + 2]));
      if (low > high) std::swap(low, high);
      in_pattern_ += 3;
      return low <= static_cast<unsigned char>(c) && static_cast<unsigned char>(c) <= high;
    }
    return fold(pattern_[in_pattern_++]) == c;
  }

  [[nodiscard]] char fold(char c) const { return ignore_case_ ? ascii_lower(c) : c; }

  std::string_view pattern_;
  std::string_view text_;
  bool ignore_case_;
  std::size_t in_pattern_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text, bool ignore_case) {
  return Matcher(pattern, text, ignore_case).match();
}

}  // namespace engram
