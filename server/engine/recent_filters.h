// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/slot_set.h"
#include "server/engine/filtered_items.h"

namespace engram {

/// The filters that were asked last, with what has been found out about their items: a client often
/// asks one again, and until something is written the answer is the same. Threads: the event
/// loop's only.
class RecentFilters {
 public:
  /// What it was of.
  struct Moment {
    const SlotSet* items;      ///< places of keys; a set that stays as it is
    std::uint64_t attributes;  ///< rises with each change of one

    friend bool operator==(const Moment&, const Moment&) = default;
  };

  /// Null if there is none of that text and moment. What is of another moment is let go of.
  [[nodiscard]] std::shared_ptr<const FilteredItems> find(std::string_view text,
                                                          const Moment& moment) {
    std::erase_if(kept_, [&](const Kept& kept) { return kept.moment != moment; });
    const auto found = std::find_if(kept_.begin(), kept_.end(),
                                    [&](const Kept& kept) { return kept.text == text; });
    if (found == kept_.end()) return nullptr;
    std::rotate(found, found + 1, kept_.end());
    return kept_.back().among;
  }

  void keep(std::string_view text, const Moment& moment,
            std::shared_ptr<const FilteredItems> among) {
    if (kept_.size() == kMost) kept_.erase(kept_.begin());
    kept_.push_back({std::string(text), moment, std::move(among)});
  }

  /// What is of `column` is let go of, which would stay in memory otherwise.
  void forget(const Column& column) {
    std::erase_if(kept_, [&](const Kept& kept) { return kept.among->has(column); });
  }

 private:
  static constexpr std::size_t kMost = 16;  // each may take a bit for each key

  struct Kept {
    std::string text;
    Moment moment;
    std::shared_ptr<const FilteredItems> among;
  };
  std::vector<Kept> kept_;  // the one that was asked last is at the end
};

}  // namespace engram
