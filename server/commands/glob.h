// SPDX-License-Identifier: Apache-2.0
// Redis's patterns over bytes: * ? [abc] [a-z] [^a] and \ before a literal byte, to the letter: in
// a range bytes are signed, what follows a \ inside of [ ] keeps its case, and an empty text
// matches no pattern but "" and "*".
//
// A pattern is cut at its stars. The piece before the first and the one after the last have their
// place; the others are looked for one after the other, each as early as possible. A piece of
// literal bytes is found in linear time. One with ? or [ ] is followed at all places at once, 64
// bits at a time [Baeza-Yates and Gonnet, A new approach to text searching, 1992]; one of more than
// a million of elements is tried place by place.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Threads: one.
class GlobPattern {
 public:
  explicit GlobPattern(std::string_view pattern, bool ignore_case = false);

  /// The pattern is "*".
  [[nodiscard]] bool matches_all() const noexcept { return pattern_ == "*"; }
  /// Whether it matches the whole of `text`, in one go.
  [[nodiscard]] bool matches(std::string_view text);

 private:
  friend class GlobMatch;

  /// What matches one byte: that byte, any, or those of a class.
  using Element = std::uint32_t;
  static constexpr Element kAny = 256;
  static constexpr Element kFirstClass = 257;
  using Class = std::bitset<256>;

  /// What lies between two stars.
  struct Piece {
    std::vector<Element> elements;
    bool is_literal = true;
    std::string literal = {};  // its bytes, if it is
    /// [256][words]: for each byte the elements that it matches; made when it is needed.
    std::vector<std::uint64_t> rows = {};
  };

  static std::size_t least_length(std::string_view pattern) noexcept;
  void compile();
  Element read_class(std::size_t& at);
  [[nodiscard]] bool takes(Element element, char c) const noexcept;
  [[nodiscard]] bool matches_at(const Piece& piece, std::string_view text) const noexcept;
  void make_rows(Piece& piece) const;
  [[nodiscard]] char fold(char c) const noexcept;

  std::string pattern_;
  bool ignore_case_;
  std::size_t least_length_;
  bool compiled_ = false;
  std::vector<Class> classes_;
  std::vector<Piece> pieces_;  // at least one; one more than there are stars, but for neighbours
};

/// A text against a pattern, in slices. It outlives neither.
class GlobMatch {
 public:
  GlobMatch(GlobPattern& pattern, std::string_view text);

  /// Goes on for about so many steps, of a nanosecond or so. True: it has ended.
  bool advance(std::size_t steps);
  /// Once it has ended.
  [[nodiscard]] bool matches() const noexcept { return matches_; }

  /// The text is found there from now on.
  void move_to(std::string_view text) noexcept { text_ = text; }

 private:
  bool end(bool matches) noexcept;
  bool find_piece(GlobPattern::Piece& piece, std::size_t& steps);
  bool find_literal(const GlobPattern::Piece& piece, std::size_t& steps);
  bool find_by_rows(GlobPattern::Piece& piece, std::size_t& steps);
  bool find_by_trying(const GlobPattern::Piece& piece, std::size_t& steps);
  void pass(std::size_t place) noexcept;

  GlobPattern& pattern_;
  std::string_view text_;
  bool ended_ = false;
  bool matches_ = false;
  std::size_t piece_ = 1;             // is looked for
  std::size_t at_ = 0;                // in the text, from here on
  std::size_t end_ = 0;               // and before here
  std::vector<std::uint64_t> state_;  // the places where the piece may have begun
};

}  // namespace engram
