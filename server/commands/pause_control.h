// SPDX-License-Identifier: Apache-2.0
// What CLIENT PAUSE does to the sessions of a host. The room above implements it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace engram {

/// Which commands wait.
enum class Pause : std::uint8_t { kNone, kWrites, kAll };

/// Threads: the event loop's only.
class PauseControl {
 public:
  virtual ~PauseControl() = default;

  /// Commands wait until then (unix milliseconds). A pause that lasts longer, or is of more, keeps
  /// what it has more of.
  virtual void pause(Pause what, std::int64_t until_ms) = 0;
  virtual void end_pause() = 0;

  /// Sessions with a command that waits for the end of the pause.
  [[nodiscard]] virtual std::size_t paused_sessions() const = 0;
};

}  // namespace engram
