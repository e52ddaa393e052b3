// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/growing_array.h"
#include "core/index.h"
#include "core/slot_set.h"
#include "primitives/palimpsest/synapses.h"

namespace engram::palimpsest {

/// The items of an index in the order in which they came, and what synapses make of it. Threads:
/// insert(), erase() and load() run alone; the others beside each other.
class Memory {
 public:
  Memory(const IndexContext& context, Synapses synapses)
      : context_(context), synapses_(std::move(synapses)) {}

  const IndexContext& context() const noexcept { return context_; }
  const SlotSet& held() const noexcept { return held_; }
  [[nodiscard]] int bound() const noexcept { return synapses_.bound(); }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  Status insert(Slot slot);
  void erase(Slot slot);

  /// Those that an operation is to be about: `items`, or all that are held if that is null.
  const SlotSet& among(const SlotSet* items) const noexcept {
    return items == nullptr ? held_ : *items;
  }

  /// What some items taught, in their order.
  struct Couplings {
    std::span<const std::int8_t> values;  // as Synapses::values()
    std::optional<Synapses> own = std::nullopt;
  };
  /// J of among(items): what is not among them has never been. Errors: kResourceExhausted.
  Result<Couplings> couplings(const SlotSet* items) const;

  /// Index::save() and load(): the order. Synapses are learned anew.
  Status save(SectionWriter& writer, const SlotSet& items) const;
  Status load(SectionReader& reader, const SlotSet& items);

 private:
  [[nodiscard]] bool are_held(const SlotSet& items) const;
  /// `items`, which are or were held, oldest first.
  std::vector<Slot> in_order(const SlotSet& items) const;

  const IndexContext context_;
  SlotSet held_;
  GrowingArray<std::uint64_t> places_;  // by slot: ascend in the order of inserts
  std::uint64_t last_place_ = 0;
  mutable std::mutex learns_;
  mutable std::atomic<bool> is_current_{true};  // synapses_ are of held_
  mutable Synapses synapses_;
};

}  // namespace engram::palimpsest
