// SPDX-License-Identifier: Apache-2.0
// When a read that has not been answered is asked of a second node (Dean & Barroso 2013, "The Tail
// at Scale"): later than 19 of 20 of the last reads took, and for one read of 20 at most, or 20
// reads in a second where that is more.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace engram::router {

/// Threads: one.
class Hedges {
 public:
  /// A read begins: it may be hedged.
  void begin() noexcept;
  /// A read was answered after so long.
  void end(std::int64_t took_us);

  /// After how long the second node is asked; nothing before enough reads have been seen.
  [[nodiscard]] std::optional<std::int64_t> delay_us() const noexcept { return delay_us_; }
  /// Whether one more read may be hedged now; it counts then. `now_ms`: of a clock that never goes
  /// back.
  bool take(std::int64_t now_ms) noexcept;

 private:
  static constexpr std::size_t kReads = 512;

  std::array<std::int64_t, kReads> took_us_ = {};
  std::size_t reads_ = 0;  // seen so far
  std::optional<std::int64_t> delay_us_;
  double allowance_ = 0;
  std::int64_t allowed_until_ms_ = 0;
};

}  // namespace engram::router
