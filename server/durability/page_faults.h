// SPDX-License-Identifier: Apache-2.0
// Faults of memory that lies in files: a page that is closed until it is verified (SIGSEGV), or
// that the disk cannot give (SIGBUS). Whoever put the memory there takes its faults, and the load
// goes on as if nothing had happened.
//
// The handler runs on the thread that touched the page, at a load or a store outside of any lock
// that it takes itself. A fault at any other address is left to whoever handled the signal before.
#pragma once

#include <cstdint>

namespace engram {

/// Memory whose faults are taken.
class FaultTaker {
 public:
  virtual ~FaultTaker() = default;

  /// Any thread, also in the handler.
  [[nodiscard]] virtual bool contains(std::uintptr_t address) const noexcept = 0;

  /// Makes the page at `address` readable, with zeros where nothing else can be had. Returns false
  /// if the fault is none of its own. `is_lost`: the disk cannot give the page. In the handler:
  /// allocates nothing, and takes no lock that is held where its memory is touched.
  [[nodiscard]] virtual bool take_fault(std::uintptr_t address, bool is_lost) noexcept = 0;
};

/// From now on `taker` has the faults of its memory, which begins at `begin`. Any thread.
void watch_faults(std::uintptr_t begin, FaultTaker& taker);

/// Puts the handlers back where somebody else has put others since, and memory is watched. For a
/// process that is not our own: other libraries have handlers, too. Any thread.
void keep_fault_handlers();

/// Nobody touches that memory any more, and it is not given back yet. Any thread.
void forget_faults(std::uintptr_t begin);

}  // namespace engram
