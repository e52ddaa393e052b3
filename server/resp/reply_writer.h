// SPDX-License-Identifier: Apache-2.0
// Typed replies in RESP2 or RESP3. The writer knows bytes only: a handler says what a value *is* (a
// map, a boolean, a distance) and the writer says it in the protocol that the connection speaks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace engram {

enum class RespVersion : std::uint8_t { kResp2 = 2, kResp3 = 3 };

/// Appends replies to a byte buffer that it borrows. Aggregates are written as a header followed by
/// that many elements (a map: pairs), each by its own call. Not thread-safe.
class ReplyWriter {
 public:
  ReplyWriter(std::string& out, RespVersion version) noexcept : out_(out), version_(version) {}

  [[nodiscard]] RespVersion version() const noexcept { return version_; }
  void set_version(RespVersion version) noexcept { version_ = version; }

  /// `+text`. The caller guarantees that there is no line break in it.
  void simple(std::string_view text);
  void ok() { simple("OK"); }

  /// `-line`, prefix included ("ERR ...", "WRONGTYPE ..."). Line breaks, which an echoed argument
  /// may smuggle in, become spaces.
  void error(std::string_view line);

  void integer(std::int64_t value);
  void bulk(std::string_view bytes);

  /// A missing value: `$-1` in RESP2, `_` in RESP3.
  void null();
  /// A missing aggregate: `*-1` in RESP2, `_` in RESP3.
  void null_array();

  /// The shortest decimal that reads back to the same value: a bulk in RESP2, `,` in RESP3.
  void number(float value);
  void number(double value);

  /// `:1` or `:0` in RESP2, `#t` or `#f` in RESP3.
  void boolean(bool value);

  void array(std::size_t elements);
  /// A flat array of 2 * pairs elements in RESP2.
  void map(std::size_t pairs);
  /// An array in RESP2.
  void set(std::size_t elements);

  /// So many bytes are about to be written: room for them is made at once.
  void expect(std::size_t bytes) { out_.reserve(out_.size() + bytes); }

  /// One reply or several that were rendered for version() already.
  void rendered(std::string_view replies) { out_.append(replies); }

  /// Text for people: a bulk in RESP2, `=txt:` in RESP3.
  void verbatim(std::string_view text);

 private:
  void header(char type, std::int64_t value);
  void decimal(std::string_view digits);

  std::string& out_;
  RespVersion version_;
};

}  // namespace engram
