// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace engram {

/// How far a long command is: a bar on the standard error, if that is a terminal, and a line at the
/// end that tells the rate.
class Progress {
 public:
  /// `is_quiet`: nothing is shown.
  Progress(std::string what, bool is_quiet);

  /// `share`: 0 to 1; 0 as long as it is unknown. Draws at most ten times a second.
  void show(std::uint64_t rows, double share);
  /// Removes the bar, and tells how long it took.
  void end(std::uint64_t rows);

 private:
  using Clock = std::chrono::steady_clock;

  const std::string what_;
  const bool is_quiet_;
  const bool draws_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point next_ = begin_;
};

/// SIGINT and SIGTERM are noted from then on, once; the next one ends the process.
void note_interrupts();
[[nodiscard]] bool is_interrupted() noexcept;

}  // namespace engram
