// SPDX-License-Identifier: Apache-2.0
// The numbers that an index was told to recall by. The rule: it adopts them in the order in which
// they were recorded, so it ends with the same numbers as a replay.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/index.h"
#include "core/recall.h"
#include "core/result.h"
#include "server/engine/collection_changes.h"
#include "server/engine/key_order.h"
#include "server/engine/operations.h"

namespace engram {

/// Threads: the event loop's only.
class Tuner {
 public:
  /// All of it outlives this.
  Tuner(Index& index, KeyOrder& key_order, Operations& operations, CollectionChanges& changes)
      : index_(index), key_order_(key_order), operations_(operations), changes_(changes) {}

  /// See Collection::tune().
  Status tune(Tuning tuning, std::function<void()> done);

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
  Tuning tuning_;  // what the index was told last
};

}  // namespace engram
