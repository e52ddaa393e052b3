// SPDX-License-Identifier: Apache-2.0
// The numbers that an index was told to recall by, and the curve that efforts are chosen by. The
// rule: it adopts them in the order in which they were recorded, so it ends with the same numbers
// as a replay.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/index.h"
#include "core/recall.h"
#include "core/result.h"
#include "server/engine/collection_changes.h"
#include "server/engine/key_order.h"
#include "server/engine/operations.h"
#include "server/engine/recall_curve.h"

namespace engram {

/// Threads: the event loop's only.
class Tuner {
 public:
  /// All of it outlives this.
  Tuner(Index& index, KeyOrder& key_order, Operations& operations, CollectionChanges& changes)
      : index_(index), key_order_(key_order), operations_(operations), changes_(changes) {}

  /// See Collection::tune().
  Status tune(Tuning tuning, std::function<void()> done);

  /// What the numbers say of the recall of searches; nothing if they do not.
  [[nodiscard]] const std::optional<RecallCurve>& curve() const noexcept { return curve_; }
  /// Has efforts be chosen by this one.
  void set_curve(const RecallCurve& curve);
  /// And also after a restart.
  void record_curve() const { changes_.record(change()); }

  /// The numbers as they are saved; empty if there are none.
  [[nodiscard]] std::string encoded() const;
  /// Takes up what encoded() gave. Errors: kDataLoss.
  Status load(std::string_view bytes);

 private:
  [[nodiscard]] TuneIndex change() const;
  void adopt(const Tuning& tuning) const;

  Index& index_;
  KeyOrder& key_order_;
  Operations& operations_;
  CollectionChanges& changes_;
  Tuning tuning_;  // what the index was told last, and the curve
  std::optional<RecallCurve> curve_;
};

}  // namespace engram
