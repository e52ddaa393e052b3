// SPDX-License-Identifier: Apache-2.0
// Replies of a place, one after the other.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "core/result.h"
#include "server/resp/reply.h"

namespace engram {

/// Reads replies out of bytes that arrive in pieces.
class ReplyReader {
 public:
  /// Appends bytes to what it is given, at least one. Errors: kIo.
  using Refill = std::function<Status(std::string&)>;

  explicit ReplyReader(Refill refill) : refill_(std::move(refill)) {}

  /// The next reply. Errors: kIo; kDataLoss for what is no RESP3.
  Result<Reply> read();

 private:
  const Refill refill_;
  ReplyScanner scanner_;
  std::string bytes_;
  std::size_t read_ = 0;  // of bytes_
};

}  // namespace engram
