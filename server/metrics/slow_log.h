// SPDX-License-Identifier: Apache-2.0
// The commands that took longest to answer: SLOWLOG.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// The arguments of a command as SLOWLOG keeps them: at most 32, of each at most 128 bytes, and in
/// the place of the rest how much that was. In one piece of memory, for commands in flight have
/// them, too.
class KeptArguments {
 public:
  KeptArguments() = default;
  /// is_secret(i): "(redacted)" is kept of that argument. May be empty.
  KeptArguments(std::span<const std::string_view> argv,
                const std::function<bool(std::size_t)>& is_secret);

  [[nodiscard]] std::vector<std::string_view> words() const;
  [[nodiscard]] bool empty() const noexcept { return packed_.empty(); }

 private:
  void add(std::string_view word, std::string_view more = {});

  std::string packed_;  // of each: its length in two bytes, and its own
};

struct SlowCall {
  std::uint64_t id = 0;  ///< counts up from 0, also over resets
  std::int64_t unix_s = 0;
  std::uint64_t us = 0;
  KeptArguments arguments = {};
  std::string address = {};  ///< of the client: "ip:port"
  std::string name = {};
};

/// Threads: one.
class SlowLog {
 public:
  /// Keeps `call`, which gets an id, and of older ones so many that there are no more than `most`.
  void add(SlowCall call, std::size_t most);

  /// The newest first.
  [[nodiscard]] const std::deque<SlowCall>& calls() const noexcept { return calls_; }
  void reset() noexcept { calls_.clear(); }

 private:
  std::deque<SlowCall> calls_;
  std::uint64_t next_id_ = 0;
};

}  // namespace engram
