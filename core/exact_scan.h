// SPDX-License-Identifier: Apache-2.0
// The exact answer by looking at every held slot: what `flat` is, and what approximate primitives
// fall back to when their structure cannot give a complete answer.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "core/bias.h"
#include "core/bound.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "core/top_k.h"

namespace engram {

/// Offers every member of `held` in [begin, end) to `nearest`, a TopK or a BiasedTopK. Long runs of
/// slots are scanned, the others are gathered, so that a collection full of holes does not cost one
/// call per slot. Threads: any number; members may come and go meanwhile.
template <class Nearest>
void scan_into(const Bound& query, const SlotSet& held, Slot begin, Slot end, Nearest& nearest) {
  constexpr std::size_t kShortRun = 16;
  std::array<Slot, 64> slots;
  std::array<float, slots.size()> scores;
  std::size_t pending = 0;
  const auto flush = [&] {
    query.gather({slots.data(), pending}, {scores.data(), pending});
    nearest.offer_all({slots.data(), pending}, {scores.data(), pending});
    pending = 0;
  };
  held.for_each_run(begin, end, [&](Slot first, std::size_t count) {
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

/// The same by effective scores. Compiled apart: a scan that might be either keeps its TopK in
/// memory and reads it again for every row.
void scan_nearest(const Bound& query, const SlotSet& held, std::size_t k, std::vector<Hit>& hits,
                  const ScoreBias& bias);

/// One of the two: `bias` may be null.
inline void scan_nearest(const Bound& query, const SlotSet& held, std::size_t k,
                         std::vector<Hit>& hits, const ScoreBias* bias) {
  if (bias == nullptr) return scan_nearest(query, held, k, hits);
  scan_nearest(query, held, k, hits, *bias);
}

}  // namespace engram
