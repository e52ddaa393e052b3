// SPDX-License-Identifier: Apache-2.0
// Requests as they arrive: RESP arrays of bulk strings, and inline commands typed by a person.
//
// The parser borrows the connection's input buffer and copies no argument. It is resumable: it
// remembers how far it has looked, so a request that arrives in many pieces is parsed in linear
// time, and it keeps memory only for what has arrived, never for what a header announced. Limits
// and error texts are Redis's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

struct ParserLimits {
  std::size_t max_arguments = 1024UL * 1024;
  std::size_t max_bulk_bytes = 512UL * 1024 * 1024;
  std::size_t max_line_bytes = 64UL * 1024;  ///< inline commands and the header lines of bulks
  /// A whole request with its headers. The journal counts the bytes of a command in 32 bits.
  std::size_t max_request_bytes = 3UL * 1024 * 1024 * 1024;
  bool authenticated = true;  ///< otherwise only what a login needs is taken
};

class RequestParser {
 public:
  enum class Outcome : std::uint8_t {
    kIncomplete,  ///< more bytes are needed
    kRequest,     ///< arguments() holds a request with at least one argument
    kError,       ///< error() says what is wrong; the stream cannot be resumed
  };

  explicit RequestParser(ParserLimits limits = {}) : limits_(limits) {}

  void set_limits(ParserLimits limits) noexcept { limits_ = limits; }

  /// Looks for the next request in `input`, which starts where the last consume() ended: the bytes
  /// given before, wherever they lie now, followed by newer ones. Called again without consume() it
  /// gives the same request with its arguments in the present `input`.
  Outcome parse(std::string_view input);

  /// Of the request that parse() gave; valid as long as its `input`, and until consume().
  [[nodiscard]] std::span<const std::string_view> arguments() const noexcept { return arguments_; }

  /// The whole error line after '-'.
  [[nodiscard]] const std::string& error() const noexcept { return error_; }

  /// How many bytes of `input` are done with and to be dropped by the caller; they count no more.
  std::size_t consume();

  /// How many bytes of `input` are done with, or whole arguments of the request being received.
  [[nodiscard]] std::size_t parsed_bytes() const noexcept { return skipped_ + position_; }

  /// Gives memory back that the next request may ask for again. Between requests.
  void release_memory();

  /// How many more bytes the bulk being received needs; 0 when that is unknown.
  [[nodiscard]] std::size_t bytes_missing() const noexcept { return missing_; }

 private:
  struct Range {
    std::size_t offset;
    std::size_t size;
  };
  enum class State : std::uint8_t { kStart, kArguments, kComplete };

  Outcome parse_start(std::string_view input);
  Outcome parse_inline(std::string_view input);
  Outcome parse_arguments(std::string_view input);
  Outcome parse_bulk(std::string_view input);
  Outcome parse_header(std::string_view input, std::string_view too_long, std::string_view& line);
  Outcome complete(std::string_view input);
  Outcome reject(std::string_view what);
  void skip(std::size_t bytes);

  ParserLimits limits_;
  State state_ = State::kStart;
  std::size_t skipped_ = 0;   // bytes of empty requests before this one
  std::size_t position_ = 0;  // parsed up to here, counted from the start of this request
  std::size_t searched_ = 0;  // no line end before here
  std::size_t expected_ = 0;  // arguments announced
  bool in_bulk_ = false;
  std::size_t bulk_size_ = 0;
  std::size_t missing_ = 0;
  std::vector<Range> ranges_;  // bulks found, counted from the start of this request
  std::vector<std::string_view> arguments_;
  std::string unescaped_;  // bytes of inline arguments
  std::string error_;
};

}  // namespace engram
