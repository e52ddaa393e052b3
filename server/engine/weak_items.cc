// SPDX-License-Identifier: Apache-2.0
#include "server/engine/weak_items.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/engine/within_memory.h"

namespace engram {

/// A search on its way through the workers.
struct WeakItems::Search {
  struct Found {
    double log_strength;
    Slot slot;
  };

  WeakItemsParams params;
  std::shared_ptr<const SlotSet> items;
  Slot end;  // of the slots
  Done done;
  GracePeriod::Ticket pin;
  Slot next = 0;  // to look at
  std::vector<Found> found = {};
  std::vector<WeakItem> weakest = {};
  Status status = {};
};

void WeakItems::find(const WeakItemsParams& params, Done done) {
  auto items = slots_.current_items();
  if (!items) return done(tl::unexpected(std::move(items.error())));
  step(std::make_shared<Search>(
      Search{params, std::move(*items), slots_.end(), std::move(done), slots_.pin_rows()}));
}

void WeakItems::step(const std::shared_ptr<Search>& search) {
  operations_.read(
      Lane::kBulk,
      [this, search](Scratch&) {
        search->status = within_memory([&] {
          advance(*search);
          return Status();
        });
      },
      [this, search] {
        if (search->status && search->next < search->end) return step(search);
        if (search->status) {
          search->done(std::move(search->weakest));
        } else {
          search->done(tl::unexpected(search->status.error()));
        }
        slots_.unpin_rows(search->pin);
      });
}

/// On a worker.
void WeakItems::advance(Search& search) const {
  constexpr Slot kSlots = 1 << 16;  // a millisecond or so
  const Slot end = std::min(search.end - search.next, kSlots) + search.next;
  const double below = std::log(search.params.below);  // of infinity: infinity
  search.items->for_each(search.next, end, [&](Slot slot) {
    const double log_strength = view_.log_strength(slot, search.params.at_ms);
    if (log_strength >= below || view_.is_pinned(slot)) return;
    search.found.push_back({log_strength, slot});
  });
  search.next = end;
  const bool is_last = search.next == search.end;
  if (is_last || search.found.size() / 2 > search.params.limit) keep_weakest(search);
  if (!is_last) return;
  search.weakest.reserve(search.found.size());
  for (const auto& [log_strength, slot] : search.found) {
    search.weakest.push_back({std::string(view_.key_of(slot)), log_strength});
  }
  std::vector<Search::Found>().swap(search.found);
}

/// In order, as many as are wanted.
void WeakItems::keep_weakest(Search& search) const {
  const auto is_weaker = [this](const Search::Found& a, const Search::Found& b) {
    // Not by strengths: those of long ago are 0.
    if (a.log_strength != b.log_strength) return a.log_strength < b.log_strength;
    return view_.key_of(a.slot) < view_.key_of(b.slot);
  };
  const std::size_t kept = std::min(search.found.size(), search.params.limit);
  const auto end = search.found.begin() + static_cast<std::ptrdiff_t>(kept);
  std::partial_sort(search.found.begin(), end, search.found.end(), is_weaker);
  search.found.resize(kept);
}

}  // namespace engram
