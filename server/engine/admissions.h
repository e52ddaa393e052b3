// SPDX-License-Identifier: Apache-2.0
// Puts that are admitted only where nothing lies near: deduplication at the door. The rule:
// searches for what is near run beside each other and beside writes; the decisions are taken on the
// loop, in the order in which the puts came, and each of them knows every put that was recorded
// before it, whether the search could meet it or not. So of several at once that lie near each
// other the first is stored and no other. Writes without a condition wait for none of this.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/engine/fifo.h"
#include "server/engine/operations.h"
#include "server/engine/pace.h"
#include "server/engine/puts_under_way.h"
#include "server/engine/read_view.h"
#include "server/engine/slot_table.h"

namespace engram {

/// Threads: the event loop's only.
class Admissions {
 public:
  /// What it works on; all of it outlives this.
  struct Parts {
    const ReadView& view;
    SlotTable& slots;
    Operations& operations;
    PutsUnderWay& puts;
    Pace& pace;  // of searches
  };

  /// A put that asks to be admitted.
  struct Request {
    std::vector<float> vector;  ///< [dim], passed check_vector
    float within;               ///< refused if an item is at most so far away, in the metric
    /// Calls its argument when a change may be recorded: now or, on the loop, later.
    std::function<void(std::function<void()>)> when_recordable;
    /// Is told the key of the nearest item that is near, or nothing, and then records a put at once
    /// or never. Errors: those of Index::search().
    std::function<void(Result<std::optional<std::string>> near)> decide;
  };

  explicit Admissions(const Parts& parts) : parts_(parts) {}

  void ask(Request request);

  /// Whether nothing waits to be decided.
  [[nodiscard]] bool is_idle() const noexcept { return waiting_.empty(); }

  /// Forgets what waits; for shutdown.
  void abandon_waiting();

 private:
  struct Check;
  static constexpr std::chrono::microseconds kShare{500};  // of a turn of the event loop

  void search(const std::shared_ptr<Check>& check, bool in_index);
  void decide_in_order();
  void rest();
  void decide(const std::shared_ptr<Check>& check);
  [[nodiscard]] bool is_there(Slot slot) const;
  bool look_at_new_puts(const std::shared_ptr<Check>& check);
  void end(const std::shared_ptr<Check>& check);

  const Parts parts_;
  Fifo<std::shared_ptr<Check>> waiting_;  // in the order in which they came
  bool is_deciding_ = false;              // on the first of them
  bool is_in_loop_ = false;               // of decide_in_order()
  bool is_resting_ = false;               // it goes on in another turn of the event loop
};

}  // namespace engram
