// SPDX-License-Identifier: Apache-2.0
// What a router does later. Threads: the event loop's only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

namespace engram::router {

class Timers {
 public:
  /// `work` is done by run() once it is `due_ms`; what is due at once, in the order of these calls.
  void add(std::int64_t due_ms, std::function<void()> work) {
    waiting_.emplace(due_ms, std::move(work));
  }

  /// Does what is due. What that adds has its turn in a later call.
  void run(std::int64_t now_ms) {
    std::multimap<std::int64_t, std::function<void()>> due;
    while (!waiting_.empty() && waiting_.begin()->first <= now_ms) {
      due.insert(due.end(), waiting_.extract(waiting_.begin()));
    }
    for (const auto& [at_ms, work] : due) work();
  }

  /// When something is due; nothing if nothing is.
  [[nodiscard]] std::optional<std::int64_t> next_ms() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.begin()->first;
  }

 private:
  std::multimap<std::int64_t, std::function<void()>> waiting_;
};

}  // namespace engram::router
