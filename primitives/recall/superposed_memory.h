// SPDX-License-Identifier: Apache-2.0
// Memory whose size does not depend on how many items there are: one sum over all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/index.h"
#include "core/reserved_memory.h"
#include "core/scratch.h"
#include "core/slot_set.h"
#include "primitives/slot_set_io.h"

namespace engram::recall {

/// The items of an index and the sum of what each leaves behind, its trace. A trace is whole
/// numbers, so taking it back undoes adding it to the bit, and the order of items does not matter.
///
/// Trace has:
///   using Number = ...;                // a signed integer
///   std::size_t count() const;         // how many numbers a trace has
///   std::size_t memory_bytes() const;  // what it keeps beside itself
///   /// Adds the trace of a row ([dim] float32, any bits) to `sum`, or takes it away. The numbers
///   /// of a damaged file may overflow, so they are unsigned here.
///   void add(const float* row, bool takes_away, std::span<std::make_unsigned_t<Number>> sum,
///            Scratch& scratch) const;
///
/// Threads: every member beside every other, but load().
template <class Trace>
class SuperposedMemory {
 public:
  using Number = typename Trace::Number;

  SuperposedMemory(const IndexContext& context, Trace trace)
      : context_(context), trace_(std::move(trace)) {}

  /// To be called once, before anything else. Errors: kResourceExhausted.
  Status prepare() {
    ENGRAM_TRY(held_.reserve());
    return make_sum(sum_);
  }

  const IndexContext& context() const noexcept { return context_; }
  const Trace& trace() const noexcept { return trace_; }
  const SlotSet& held() const noexcept { return held_; }
  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) + trace_.memory_bytes() + held_.memory_bytes() + sum_.committed_bytes();
  }

  Status insert(Slot slot, Scratch& scratch) {
    ENGRAM_TRY(held_.ensure(std::size_t{slot} + 1));
    const WriteLock lock(*this);
    add(slot, false, sum_, scratch);
    held_.add(slot);
    return {};
  }

  /// A held slot.
  void erase(Slot slot, Scratch& scratch) {
    const WriteLock lock(*this);
    held_.erase(slot);
    add(slot, true, sum_, scratch);
  }

  /// Returns use(sum, items): the sum over `items`, or over all that are held if that is null.
  /// Inserts and erases wait meanwhile. Errors: those of `use`; kResourceExhausted.
  template <class Use>
  auto with_sum(const SlotSet* items, Scratch& scratch, Use&& use) const
      -> std::invoke_result_t<Use, std::span<const Number>, const SlotSet&> {
    const auto lock = read_lock();
    const auto [missing, surplus] = difference(items);
    const SlotSet& among = items == nullptr ? held_ : *items;
    if (missing.empty() && surplus.empty()) return use(numbers(sum_), among);
    Sum corrected;
    ENGRAM_TRY(correct(missing, surplus, scratch, corrected));
    return use(numbers(corrected), among);
  }

  /// Index::save().
  Status save(SectionWriter& writer, const SlotSet& items) const {
    Scratch scratch;
    Sum copy;
    {
      const auto lock = read_lock();
      const auto [missing, surplus] = difference(&items);
      ENGRAM_TRY(correct(missing, surplus, scratch, copy));
    }
    ENGRAM_TRY(save_slots(writer, kItemsSection, items));
    ENGRAM_TRY(writer.begin(kSumSection));
    return writer.append(std::as_bytes(numbers(copy)));
  }

  /// Index::load(). Where not all that were saved are to be held, their traces cannot be taken away
  /// without their rows: all others are added up anew.
  Status load(SectionReader& reader, const SlotSet& items) {
    const Slot slot_end = context_.store.slot_end();
    ENGRAM_TRY(hold_items(items, slot_end, held_));
    SlotSet saved;
    ENGRAM_TRY(saved.reserve());
    ENGRAM_TRY(load_slots(reader, kItemsSection, slot_end, saved));
    Sum sum;
    ENGRAM_TRY(sum.reserve(trace_.count()));
    ENGRAM_TRY(sum.adopt(reader, kSumSection, trace_.count()));
    const auto [missing, surplus] = difference(&saved);
    if (missing.empty() && surplus.empty()) {
      std::swap(sum_, sum);
      return {};
    }
    Scratch scratch;
    held_.for_each(0, slot_end, [&](Slot slot) { add(slot, false, sum_, scratch); });
    return {};
  }

 private:
  static constexpr std::string_view kItemsSection = "sum.items";
  static constexpr std::string_view kSumSection = "sum";
  using Unsigned = std::make_unsigned_t<Number>;

  /// Numbers on pages of their own, so that a snapshot's can take their place.
  class Sum {
   public:
    Status reserve(std::size_t count) {
      auto array = std::make_unique<ReservedArray<Number>>();
      ENGRAM_TRY(array->reserve(round_up(count, kPageBytes)));
      array_ = std::move(array);
      return {};
    }
    Status ensure(std::size_t count) { return array_->ensure(count); }
    Status adopt(SectionReader& reader, std::string_view name, std::size_t count) {
      return array_->adopt(reader, name, count);
    }
    Number* data() const noexcept { return array_->data(); }
    std::size_t committed_bytes() const noexcept { return array_->committed_bytes(); }

   private:
    std::unique_ptr<ReservedArray<Number>> array_;
  };

  /// Readers that come while a writer waits let it go first: recalls without a pause would keep it
  /// out for ever.
  class WriteLock {
   public:
    explicit WriteLock(const SuperposedMemory& memory) : turn_(memory.turn_), sum_(memory.mutex_) {}

   private:
    const std::lock_guard<std::mutex> turn_;
    const std::lock_guard<std::shared_mutex> sum_;
  };

  std::shared_lock<std::shared_mutex> read_lock() const {
    const std::lock_guard turn(turn_);
    return std::shared_lock(mutex_);
  }

  Status make_sum(Sum& sum) const {
    ENGRAM_TRY(sum.reserve(trace_.count()));
    return sum.ensure(trace_.count());
  }

  std::span<const Number> numbers(const Sum& sum) const noexcept {
    return {sum.data(), trace_.count()};
  }

  void add(Slot slot, bool takes_away, Sum& sum, Scratch& scratch) const {
    const auto* const row = reinterpret_cast<const float*>(context_.store.row(slot));
    trace_.add(row, takes_away, {reinterpret_cast<Unsigned*>(sum.data()), trace_.count()}, scratch);
  }

  struct Difference {
    std::vector<Slot> missing;  // items that are not held: erased meanwhile
    std::vector<Slot> surplus;  // held, but no items
  };
  Difference difference(const SlotSet* items) const {
    Difference found;
    if (items == nullptr) return found;
    items->for_each_not_in(held_, [&](Slot slot) { found.missing.push_back(slot); });
    held_.for_each_not_in(*items, [&](Slot slot) { found.surplus.push_back(slot); });
    return found;
  }

  /// A copy of the sum, of other items.
  Status correct(const std::vector<Slot>& missing, const std::vector<Slot>& surplus,
                 Scratch& scratch, Sum& copy) const {
    ENGRAM_TRY(make_sum(copy));
    std::copy_n(sum_.data(), trace_.count(), copy.data());
    for (const Slot slot : missing) add(slot, false, copy, scratch);
    for (const Slot slot : surplus) add(slot, true, copy, scratch);
    return {};
  }

  const IndexContext context_;
  const Trace trace_;
  mutable std::mutex turn_;
  mutable std::shared_mutex mutex_;  // guards sum_, and that held_ is what it sums up
  SlotSet held_;
  Sum sum_;
};

}  // namespace engram::recall
