// SPDX-License-Identifier: Apache-2.0
// Replies as clients read them, out of bytes that arrive in pieces. A hostile server gets an error,
// and no memory but in proportion to what it sends, which is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A reply of RESP2 or RESP3. Numbers are kept as they were spelled, so that they can be passed on
/// to the byte.
struct Reply {
  enum class Kind : std::uint8_t { kNull, kText, kInteger, kReal, kBoolean, kError, kArray, kMap };

  Kind kind = Kind::kNull;
  std::string text = {};          ///< of kText, kReal, and kError with its prefix
  std::int64_t integer = 0;       ///< of kInteger; 1 or 0 of kBoolean
  std::vector<Reply> items = {};  ///< of kArray; names and values in turn of kMap

  [[nodiscard]] bool is_null() const noexcept { return kind == Kind::kNull; }
  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::kError; }
  [[nodiscard]] bool is_array() const noexcept { return kind == Kind::kArray; }
  /// Whether it is an error whose first word is `prefix`.
  [[nodiscard]] bool is_error(std::string_view prefix) const noexcept;

  /// Of kError: without the prefix ERR.
  [[nodiscard]] std::string error_text() const;
  /// The value of that name in a map; null if there is none.
  [[nodiscard]] const Reply* find(std::string_view name) const noexcept;

  static Reply error(std::string text) { return {.kind = Kind::kError, .text = std::move(text)}; }
};

/// Looks for the end of a reply, however its bytes arrive, in linear time and without memory. Not
/// thread-safe.
class ReplyScanner {
 public:
  enum class Outcome : std::uint8_t { kIncomplete, kReply, kError };

  /// `input` starts where the last reply ended, and has what was given before, followed by newer
  /// bytes. After kReply size() tells how long the reply is; then the next scan is of the next.
  /// kError: that is no RESP, or more than 1 GiB, more than 2^25 elements in all, or an aggregate
  /// in an aggregate eight deep.
  Outcome scan(std::string_view input);

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  Outcome scan_one(std::string_view input);
  Outcome take_aggregate(std::string_view count, std::uint64_t each);
  void take_element() noexcept;

  std::size_t position_ = 0;
  std::size_t searched_ = 0;
  std::size_t bulk_ = 0;  // bytes of a bulk and its line end that are to be passed over
  std::size_t size_ = 0;
  std::uint64_t elements_ = 0;          // of all aggregates of the reply, as they were announced
  std::vector<std::uint64_t> missing_;  // elements of the aggregates that are open
};

/// Reads a whole reply, as a ReplyScanner has found it. Takes a Reply of memory for each element,
/// of which three bytes may make one, besides their text.
Reply read_reply(std::string_view bytes);

}  // namespace engram
