// SPDX-License-Identifier: Apache-2.0
#include "server/commands/glob.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::size_t kWordBits = 64;
/// Rows of more elements than that would take more than 8 MiB.
constexpr std::size_t kMostElementsInRows = std::size_t{1} << 18;

std::size_t words_of(std::size_t elements) {
  return (elements + kWordBits - 1) / kWordBits;
}

std::size_t byte_index(char c) {
  return static_cast<unsigned char>(c);
}

/// Behind the class that begins behind a [ at `at`. One that is not closed ends with the pattern.
std::size_t end_of_class(std::string_view pattern, std::size_t at) {
  if (at < pattern.size() && pattern[at] == '^') ++at;
  while (at < pattern.size() && pattern[at] != ']') {
    const std::size_t left = pattern.size() - at;
    if (pattern[at] == '\\' && left >= 2) {
      at += 2;
    } else {
      at += left >= 3 && pattern[at + 1] == '-' ? 3 : 1;
    }
  }
  return std::min(at + 1, pattern.size());
}

/// The byte at `at`, or the one that a \ there stands before; moves behind it.
char literal_at(std::string_view pattern, std::size_t& at) {
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  return pattern[at++];
}

}  // namespace

GlobPattern::GlobPattern(std::string_view pattern, bool ignore_case)
    : pattern_(pattern), ignore_case_(ignore_case), least_length_(least_length(pattern)) {}

std::size_t GlobPattern::least_length(std::string_view pattern) noexcept {
  std::size_t length = 0;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] == '*') {
      ++at;
      continue;
    }
    ++length;
    if (pattern[at] == '[') {
      at = end_of_class(pattern, at + 1);
    } else {
      literal_at(pattern, at);
    }
  }
  return length;
}

char GlobPattern::fold(char c) const noexcept {
  return ignore_case_ ? ascii_lower(c) : c;
}

/// Not before a text comes that is long enough: what is made takes no more than some times that.
void GlobPattern::compile() {
  if (std::exchange(compiled_, true)) return;
  pieces_.emplace_back();
  for (std::size_t at = 0; at < pattern_.size();) {
    const char c = pattern_[at];
    if (c == '*') {
      if (pieces_.size() == 1 || !pieces_.back().elements.empty()) pieces_.emplace_back();
      ++at;
      continue;
    }
    Piece& piece = pieces_.back();
    if (c == '?') {
      piece.elements.push_back(kAny);
      ++at;
    } else if (c == '[') {
      piece.elements.push_back(read_class(++at));
    } else {
      piece.elements.push_back(static_cast<Element>(byte_index(fold(literal_at(pattern_, at)))));
    }
    piece.is_literal = piece.is_literal && piece.elements.back() < kAny;
  }
  for (Piece& piece : pieces_) {
    if (!piece.is_literal || ignore_case_) continue;
    piece.literal.resize(piece.elements.size());
    std::transform(piece.elements.begin(), piece.elements.end(), piece.literal.begin(),
                   [](Element element) { return static_cast<char>(element); });
  }
}

/// Reads the class behind a [ and moves behind it. What is in it is compared as Redis does.
GlobPattern::Element GlobPattern::read_class(std::size_t& at) {
  Class members;
  Class in_ranges;  // by the byte as a signed number, and 128
  const auto add_range = [&](char first, char last) {
    const auto [low, high] =
        std::minmax<signed char>({static_cast<signed char>(first), static_cast<signed char>(last)});
    const auto from = static_cast<signed char>(fold(static_cast<char>(low)));
    const auto to = static_cast<signed char>(fold(static_cast<char>(high)));
    if (from > to) return;
    in_ranges |= (~Class() >> static_cast<std::size_t>(255 - (to - from)))
                 << static_cast<std::size_t>(from + 128);
  };
  const std::string_view pattern = pattern_;
  const std::size_t end = end_of_class(pattern, at);
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  while (at < pattern.size() && pattern[at] != ']') {
    const std::size_t left = pattern.size() - at;
    if (pattern[at] == '\\' && left >= 2) {
      members.set(byte_index(pattern[at + 1]));
      at += 2;
    } else if (left >= 3 && pattern[at + 1] == '-') {
      add_range(pattern[at], pattern[at + 2]);
      at += 3;
    } else {
      members.set(byte_index(fold(pattern[at])));
      if (ignore_case_) members.set(byte_index(ascii_upper(pattern[at])));
      ++at;
    }
  }
  for (int c = -128; c < 128; ++c) {
    const auto folded = static_cast<signed char>(fold(static_cast<char>(c)));
    if (in_ranges.test(static_cast<std::size_t>(folded + 128))) {
      members.set(byte_index(static_cast<char>(c)));
    }
  }
  at = end;
  classes_.push_back(negated ? ~members : members);
  return static_cast<Element>(kFirstClass + classes_.size() - 1);
}

bool GlobPattern::takes(Element element, char c) const noexcept {
  if (element >= kFirstClass) return classes_[element - kFirstClass].test(byte_index(c));
  return element == kAny || element == byte_index(fold(c));
}

/// Whether `text`, as long as the piece, matches it.
bool GlobPattern::matches_at(const Piece& piece, std::string_view text) const noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!takes(piece.elements[i], text[i])) return false;
  }
  return true;
}

void GlobPattern::make_rows(Piece& piece) const {
  const std::size_t words = words_of(piece.elements.size());
  piece.rows.resize(256 * words);
  std::vector<std::uint64_t> any(words);
  for (std::size_t i = 0; i < piece.elements.size(); ++i) {
    const Element element = piece.elements[i];
    const std::uint64_t bit = std::uint64_t{1} << (i % kWordBits);
    const auto add = [&](std::size_t byte) { piece.rows[byte * words + i / kWordBits] |= bit; };
    if (element == kAny) {
      any[i / kWordBits] |= bit;
    } else if (element < kAny) {
      add(element);
      if (ignore_case_) add(byte_index(ascii_upper(static_cast<char>(element))));
    } else {
      const Class& members = classes_[element - kFirstClass];
      for (std::size_t byte = 0; byte < 256; ++byte) {
        if (members.test(byte)) add(byte);
      }
    }
  }
  for (std::size_t i = 0; i < piece.rows.size(); ++i) piece.rows[i] |= any[i % words];
}

bool GlobPattern::matches(std::string_view text) {
  GlobMatch match(*this, text);
  match.advance(std::numeric_limits<std::size_t>::max());
  return match.matches();
}

GlobMatch::GlobMatch(GlobPattern& pattern, std::string_view text) : pattern_(pattern), text_(text) {
  if (pattern.matches_all()) {
    end(true);
  } else if (text.empty() || text.size() < pattern.least_length_) {
    end(pattern.pattern_.empty() && text.empty());
  } else {
    pattern.compile();
    const auto& pieces = pattern.pieces_;
    const std::size_t first = pieces.front().elements.size();
    const std::size_t last = pieces.size() == 1 ? 0 : pieces.back().elements.size();
    at_ = first;
    end_ = text.size() - last;
    const bool fits = (pieces.size() > 1 || first == text.size()) &&
                      pattern.matches_at(pieces.front(), text.substr(0, first)) &&
                      (last == 0 || pattern.matches_at(pieces.back(), text.substr(end_)));
    if (!fits) end(false);
  }
}

bool GlobMatch::end(bool matches) noexcept {
  ended_ = true;
  matches_ = matches;
  return true;
}

bool GlobMatch::advance(std::size_t steps) {
  auto& pieces = pattern_.pieces_;
  while (!ended_ && steps > 0) {
    if (piece_ + 1 >= pieces.size()) return end(true);  // but for the last, which has its place
    if (!find_piece(pieces[piece_], steps) && steps > 0) return end(false);
  }
  return ended_;
}

/// Looks for the piece from at_ on. True: it was found, and at_ is behind it. If steps are left it
/// is nowhere; else it goes on from at_, or from state_.
bool GlobMatch::find_piece(GlobPattern::Piece& piece, std::size_t& steps) {
  const std::size_t length = piece.elements.size();
  if (state_.empty() && end_ - at_ < length) return false;
  if (piece.is_literal && !pattern_.ignore_case_) return find_literal(piece, steps);
  return length <= kMostElementsInRows ? find_by_rows(piece, steps) : find_by_trying(piece, steps);
}

void GlobMatch::pass(std::size_t place) noexcept {
  at_ = place;
  ++piece_;
  state_.clear();
}

/// The C library's search is linear, and fast enough not to be cut into slices.
bool GlobMatch::find_literal(const GlobPattern::Piece& piece, std::size_t& steps) {
  const void* const found =
      ::memmem(text_.data() + at_, end_ - at_, piece.literal.data(), piece.literal.size());
  if (found == nullptr) return false;
  const auto place = static_cast<std::size_t>(static_cast<const char*>(found) - text_.data());
  const std::size_t passed = place - at_ + piece.literal.size();
  steps -= std::min(steps, passed / 16 + 1);
  pass(at_ + passed);
  return true;
}

/// Shift-And: bit i of the state says that elements 0 to i match what ends here.
bool GlobMatch::find_by_rows(GlobPattern::Piece& piece, std::size_t& steps) {
  const std::size_t length = piece.elements.size();
  const std::size_t words = words_of(length);
  if (piece.rows.empty()) pattern_.make_rows(piece);
  if (state_.empty()) state_.resize(words);
  const std::uint64_t last = std::uint64_t{1} << ((length - 1) % kWordBits);
  while (at_ < end_) {
    const std::uint64_t* const row = &piece.rows[byte_index(text_[at_]) * words];
    std::uint64_t carry = 1;
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint64_t shifted = (state_[w] << 1) | carry;
      carry = state_[w] >> (kWordBits - 1);
      state_[w] = shifted & row[w];
    }
    ++at_;
    if ((state_[words - 1] & last) != 0) {
      pass(at_);
      return true;
    }
    steps -= std::min(steps, words + 1);
    if (steps == 0) return false;
  }
  return false;
}

bool GlobMatch::find_by_trying(const GlobPattern::Piece& piece, std::size_t& steps) {
  const std::size_t length = piece.elements.size();
  for (; end_ - at_ >= length; ++at_) {
    if (pattern_.matches_at(piece, text_.substr(at_, length))) {
      pass(at_ + length);
      return true;
    }
    const std::size_t cost = std::min(steps, length);
    steps -= cost;
    if (steps == 0) {
      ++at_;
      return false;
    }
  }
  return false;
}

}  // namespace engram
