// SPDX-License-Identifier: Apache-2.0
// Replies of RESP3, as a client reads them. A hostile server gets an error, and no memory beyond
// what it sends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

struct Reply {
  enum class Kind : std::uint8_t { kNull, kText, kInteger, kReal, kBoolean, kError, kArray, kMap };

  Kind kind = Kind::kNull;
  std::string text = {};     ///< of kText; of kError without the prefix ERR; of kReal as it came
  std::int64_t integer = 0;  ///< of kInteger; 1 or 0 of kBoolean
  std::vector<Reply> items = {};  ///< of kArray; names and values in turn of kMap

  [[nodiscard]] bool is_null() const noexcept { return kind == Kind::kNull; }
  /// The value of that name in a map; null if there is none.
  [[nodiscard]] const Reply* find(std::string_view name) const noexcept;
};

/// Reads replies out of bytes that arrive in pieces.
class ReplyReader {
 public:
  /// Appends bytes to what it is given, at least one. Errors: kIo.
  using Refill = std::function<Status(std::string&)>;

  explicit ReplyReader(Refill refill) : refill_(std::move(refill)) {}

  /// The next reply. Errors: kIo; kDataLoss for what is no RESP3.
  Result<Reply> read();

 private:
  Result<Reply> read_one(int depth);
  Result<std::string_view> read_line();
  Status read_text(std::string_view header, Reply& reply);
  Status read_items(std::string_view header, std::size_t each, int depth, Reply& reply);
  Status need(std::size_t bytes);

  const Refill refill_;
  std::string bytes_;
  std::size_t read_ = 0;  // of bytes_
};

}  // namespace engram
