// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "server/durability/change.h"
#include "server/engine/grace_period.h"

namespace engram {

/// Where the engine tells of every change to the keyspace and its collections, in the order in
/// which replaying repeats them. Threads: the event loop's only.
class ChangeSink {
 public:
  virtual ~ChangeSink() = default;

  virtual void record(const Change& change) = 0;

  /// Of what was recorded since the last command, or transaction, ended.
  [[nodiscard]] virtual std::size_t recorded_bytes() const noexcept { return 0; }

  /// What was recorded last is being carried out by workers until the ticket is given back to
  /// end().
  [[nodiscard]] virtual GracePeriod::Ticket begin() = 0;
  virtual void end(GracePeriod::Ticket ticket) = 0;
};

}  // namespace engram
