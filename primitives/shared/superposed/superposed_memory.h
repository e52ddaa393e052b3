// SPDX-License-Identifier: Apache-2.0
// Memory whose size does not depend on how many items there are: one sum over all of them.
#pragma once

#include <cstddef>
#include <cstring>
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
#include "core/slot_set_io.h"

namespace engram::recall {

/// The items of an index and the sum of what each leaves behind, its trace. A trace is whole
/// numbers, so taking it back undoes adding it to the bit, and the order of items does not matter.
///
/// Trace has:
///   using Number = ...;                  // a signed integer
///   std::size_t count() const;           // how many numbers a trace has
///   /// Finds the trace of a row ([dim] float32, any bits), for apply() to take from `scratch`.
///   void prepare(const float* row, Scratch& scratch) const;
///   /// Adds it to `sum`, or takes it away. Numbers of a damaged file may overflow, so they are
///   /// unsigned here.
///   void apply(bool takes_away, std::span<std::make_unsigned_t<Number>> sum,
///              Scratch& scratch) const;
///   std::vector<Fact> describe() const;  // for VINFO
///   std::size_t memory_bytes() const;    // beside the sum
///
/// Threads: every member beside every other, but load().
template <class Trace>
class SuperposedMemory {
 public:
  using Number = typename Trace::Number;

  SuperposedMemory(const IndexContext& context, Trace trace)
      : context_(context), trace_(std::move(trace)) {}

  /// To be called once, before anything else. Errors: kResourceExhausted.
  Status prepare() { return make_sum(sum_); }

  const IndexContext& context() const noexcept { return context_; }
  const Trace& trace() const noexcept { return trace_; }
  const SlotSet& held() const noexcept { return held_; }
  std::size_t memory_bytes() const noexcept {
    return sizeof(*this) + held_.memory_bytes() + sum_.size() + trace_.memory_bytes();
  }

  /// Those that an operation is to be about: `items`, or all that are held if that is null.
  const SlotSet& among(const SlotSet* items) const noexcept {
    return items == nullptr ? held_ : *items;
  }

  Status insert(Slot slot, Scratch& scratch) {
    ENGRAM_TRY(held_.ensure(std::size_t{slot} + 1));
    trace_.prepare(row(slot), scratch);
    const WriteLock lock(*this);
    trace_.apply(false, unsigned_numbers(sum_), scratch);
    held_.add(slot);
    return {};
  }

  /// A held slot.
  void erase(Slot slot, Scratch& scratch) {
    trace_.prepare(row(slot), scratch);
    const WriteLock lock(*this);
    held_.erase(slot);
    trace_.apply(true, unsigned_numbers(sum_), scratch);
  }

  class View;

  /// Index::save().
  Status save(SectionWriter& writer, const SlotSet& items) const {
    Scratch scratch;
    View view(*this, &items, scratch);
    ENGRAM_TRY(view.take_copy());
    ENGRAM_TRY(save_slots(writer, kItemsSection, items));
    ENGRAM_TRY(writer.begin(kSumSection));
    Status status;
    ENGRAM_TRY(view.read(
        [&](std::span<const Number> sum) { status = writer.append(std::as_bytes(sum)); }));
    return status;
  }

  /// Index::load(). Traces of what was saved but is not to be held are taken away again, if their
  /// rows are still there; else those of all others are added up anew.
  Status load(SectionReader& reader, const SlotSet& items) {
    const Slot slot_end = context_.store.slot_end();
    ENGRAM_TRY(hold_items(items, slot_end, held_));
    SlotSet saved;
    ENGRAM_TRY(load_slots(reader, kItemsSection, slot_end, saved));
    Sum sum;
    ENGRAM_TRY(make_sum(sum));
    ENGRAM_TRY(sum.fill(reader, kSumSection));
    Difference difference = this->difference(&saved);
    std::swap(difference.missing, difference.surplus);  // from the saved to the held
    bool has_rows = true;
    context_.store.for_each_free([&](Slot slot) { has_rows &= !saved.contains(slot); });
    Scratch scratch;
    if (has_rows && difference.size() <= held_.size()) {
      std::swap(sum_, sum);
      correct(difference, sum_, scratch);
    } else {
      held_.for_each(0, slot_end, [&](Slot slot) { add(slot, false, sum_, scratch); });
    }
    return {};
  }

 private:
  static constexpr std::string_view kItemsSection = "sum.items";
  static constexpr std::string_view kSumSection = "sum";
  using Unsigned = std::make_unsigned_t<Number>;

  /// Many numbers lie on pages of their own, so that a snapshot's can take their place.
  using Sum = FixedMemory;

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
    auto memory = Sum::allocate(trace_.count() * sizeof(Number));
    if (!memory) return tl::unexpected(std::move(memory.error()));
    sum = std::move(*memory);
    return {};
  }

  std::span<const Number> numbers(const Sum& sum) const noexcept {
    return {reinterpret_cast<const Number*>(sum.data()), trace_.count()};
  }
  std::span<Unsigned> unsigned_numbers(Sum& sum) const noexcept {
    return {reinterpret_cast<Unsigned*>(sum.data()), trace_.count()};
  }
  const float* row(Slot slot) const noexcept {
    return reinterpret_cast<const float*>(context_.store.row(slot));
  }

  void add(Slot slot, bool takes_away, Sum& sum, Scratch& scratch) const {
    trace_.prepare(row(slot), scratch);
    trace_.apply(takes_away, unsigned_numbers(sum), scratch);
  }

  struct Difference {
    std::vector<Slot> missing;  // items that are not held: erased meanwhile
    std::vector<Slot> surplus;  // held, but no items
    std::size_t size() const noexcept { return missing.size() + surplus.size(); }
  };
  Difference difference(const SlotSet* items) const {
    Difference found;
    if (items == nullptr) return found;
    items->for_each_not_in(held_, [&](Slot slot) { found.missing.push_back(slot); });
    held_.for_each_not_in(*items, [&](Slot slot) { found.surplus.push_back(slot); });
    return found;
  }

  void correct(const Difference& difference, Sum& sum, Scratch& scratch) const {
    for (const Slot slot : difference.missing) add(slot, false, sum, scratch);
    for (const Slot slot : difference.surplus) add(slot, true, sum, scratch);
  }

  const IndexContext context_;
  const Trace trace_;
  mutable std::mutex turn_;
  mutable std::shared_mutex mutex_;  // guards sum_, and that held_ is what it sums up
  SlotSet held_;
  Sum sum_;
};

/// The sum over some items, whose rows are left alone meanwhile: the same numbers each time it is
/// read, whatever comes and goes. One thread.
template <class Trace>
class SuperposedMemory<Trace>::View {
 public:
  /// items: null for all that are held at each reading. Borrows all it is given.
  View(const SuperposedMemory& memory, const SlotSet* items, Scratch& scratch)
      : memory_(memory), items_(items), scratch_(scratch) {}

  /// Calls use(sum). Writers wait for that, unless the items are no longer what is held: then the
  /// view has a copy of its own. Errors: kResourceExhausted.
  template <class Use>
  Status read(Use&& use) {
    if (!has_copy_) {
      const auto lock = memory_.read_lock();
      const Difference difference = memory_.difference(items_);
      if (difference.size() == 0) {
        use(memory_.numbers(memory_.sum_));
        return {};
      }
    }
    ENGRAM_TRY(take_copy());
    use(memory_.numbers(copy_));
    return {};
  }

  /// Has writers wait no more. Errors: kResourceExhausted.
  Status take_copy() {
    if (has_copy_) return {};
    ENGRAM_TRY(memory_.make_sum(copy_));
    Difference difference;
    {
      const auto lock = memory_.read_lock();
      difference = memory_.difference(items_);
      if (difference.size() <= memory_.among(items_).size()) {
        std::memcpy(copy_.data(), memory_.sum_.data(), copy_.size());
      } else {  // sooner added up anew
        difference.surplus.clear();
        items_->list(difference.missing);
      }
    }
    memory_.correct(difference, copy_, scratch_);
    has_copy_ = true;
    return {};
  }

 private:
  const SuperposedMemory& memory_;
  const SlotSet* const items_;
  Scratch& scratch_;
  Sum copy_;
  bool has_copy_ = false;
};

}  // namespace engram::recall
