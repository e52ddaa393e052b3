// SPDX-License-Identifier: Apache-2.0
// The exact answer by looking at every held slot: what `flat` is, and what approximate primitives
// fall back to when their structure cannot give a complete answer.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/bias.h"
#include "core/bound.h"
#include "core/index.h"
#include "core/item_filter.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "core/top_k.h"

namespace engram {

/// The members of a set that a filter accepts. The filter is asked word by word, each time that
/// they are visited. Borrows both.
class AcceptedSlots {
 public:
  AcceptedSlots(const SlotSet& slots, const ItemFilter& filter) noexcept
      : slots_(slots), filter_(filter) {}

  /// See SlotSet::for_each_run.
  template <class Visit>
  void for_each_run(Slot begin, Slot end, Visit&& visit) const {
    Slot first = 0;
    std::size_t count = 0;
    slots_.for_each_word(begin, end, [&](Slot word, std::uint64_t bits) {
      bits = filter_.select_word(word, bits);
      while (bits != 0) {
        const int start = std::countr_zero(bits);
        const int length = std::countr_one(bits >> start);
        bits &= ~(~std::uint64_t{0} >> (64 - length) << start);
        const Slot slot = word + static_cast<Slot>(start);
        if (count > 0 && slot == first + count) {
          count += static_cast<std::size_t>(length);
          continue;
        }
        if (count > 0) visit(first, count);
        first = slot;
        count = static_cast<std::size_t>(length);
      }
    });
    if (count > 0) visit(first, count);
  }

 private:
  const SlotSet& slots_;
  const ItemFilter& filter_;
};

/// Offers every member of `slots`, a SlotSet or AcceptedSlots, in [begin, end) to `nearest`, a TopK
/// or a BiasedTopK. Long runs of slots are scanned, the others are gathered, so that a collection
/// full of holes does not cost one call per slot. Threads: any number; members may come and go
/// meanwhile.
template <class Slots, class Nearest>
void scan_into(const Bound& query, const Slots& members, Slot begin, Slot end, Nearest& nearest) {
  constexpr std::size_t kShortRun = 16;
  std::array<Slot, 64> slots;
  std::array<float, slots.size()> scores;
  std::size_t pending = 0;
  const auto flush = [&] {
    query.gather({slots.data(), pending}, {scores.data(), pending});
    nearest.offer_all({slots.data(), pending}, {scores.data(), pending});
    pending = 0;
  };
  members.for_each_run(begin, end, [&](Slot first, std::size_t count) {
    if (count >= kShortRun) {
      query.scan(first, first + static_cast<Slot>(count),
                 [&](Slot slot, std::span<const float> run) { nearest.offer_run(slot, run); });
      return;
    }
    if (pending + count > slots.size()) flush();
    for (std::size_t i = 0; i < count; ++i) slots[pending++] = first + static_cast<Slot>(i);
  });
  flush();
}

/// Fills `hits` with the min(k, held.size()) members nearest to `query`, ascending.
inline void scan_nearest(const Bound& query, const SlotSet& held, std::size_t k,
                         std::vector<Hit>& hits) {
  TopK nearest(k, hits);
  if (k > 0) scan_into(query, held, 0, Slot{kMaxSlots}, nearest);
  nearest.finish();
}

/// The same with a bias, a filter, a radius, all that SearchParams can ask of an exact search.
/// Compiled apart: a scan that might be either keeps its TopK in memory and reads it again for
/// every row.
void scan_with_conditions(const Bound& query, const SlotSet& held, const SearchParams& params,
                          std::vector<Hit>& hits);

/// Answers a search exactly: one of the two.
inline void scan_nearest(const Bound& query, const SlotSet& held, const SearchParams& params,
                         std::vector<Hit>& hits) {
  if (params.is_plain()) return scan_nearest(query, held, params.k, hits);
  scan_with_conditions(query, held, params, hits);
}

}  // namespace engram
