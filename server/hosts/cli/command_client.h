// SPDX-License-Identifier: Apache-2.0
// Commands to a place, singly or pipelined.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/hosts/cli/place.h"
#include "server/hosts/cli/reply.h"

namespace engram {

/// Threads: one.
class CommandClient {
 public:
  explicit CommandClient(std::unique_ptr<Place> place);

  /// Agrees on RESP3. To be called first. Errors: kIo; kInvalidArgument for a wrong password.
  Status hello(const std::string& user, const std::string& password);

  /// Appends a command to those that the next take() sends.
  void post(std::span<const std::string_view> words);
  void post(std::initializer_list<std::string_view> words) {
    post(std::span(words.begin(), words.size()));
  }
  /// Sends what was posted.
  Status flush();
  /// The reply to the oldest command that was not taken, which may be an error. Errors: kIo,
  /// kDataLoss: there will be no more replies.
  Result<Reply> take();
  /// post() and take(), of its own reply: those to commands posted before that nobody took are
  /// dropped. Errors: kNotFound if there is no such index, and kInvalidArgument for other
  /// replies that are errors; those of take().
  Result<Reply> call(std::span<const std::string_view> words);
  Result<Reply> call(std::initializer_list<std::string_view> words) {
    return call(std::span(words.begin(), words.size()));
  }

  Place& place() noexcept { return *place_; }

 private:
  const std::unique_ptr<Place> place_;
  ReplyReader reader_;
  std::string posted_;
  std::size_t owed_ = 0;  // replies to what was posted
};

/// A reply that is an error, as call() returns it.
Error error_of(const Reply& reply);

}  // namespace engram
