// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/item_filter.h"
#include "core/result.h"
#include "core/slot_set.h"
#include "server/filters/evaluation.h"
#include "server/filters/filter.h"

namespace engram {

/// The items that meet a filter, among those there were when a job was asked for. What takes long
/// is done on the worker that first asks for it. Threads: any.
class FilteredItems {
 public:
  /// columns[i] is of filter->fields()[i].
  FilteredItems(std::shared_ptr<const Filter> filter, BoundFilter::Columns columns,
                std::shared_ptr<const SlotSet> items)
      : filter_(std::move(filter)),
        columns_(std::move(columns)),
        items_(std::move(items)),
        like_set_(*items_) {}

  [[nodiscard]] const BoundFilter& filter() const;

  /// Whether it keeps `column`.
  [[nodiscard]] bool has(const Column& column) const noexcept {
    return std::any_of(columns_.begin(), columns_.end(),
                       [&](const auto& kept) { return kept.get() == &column; });
  }

  /// As costly to ask as the filter is, to plan by: once it has been asked about all items, or is
  /// asked for so often that this pays, a set answers for it.
  [[nodiscard]] const ItemFilter& planned_filter() const;

  /// How many there are to choose from.
  [[nodiscard]] std::size_t size() const noexcept { return items_->size(); }

  /// About how many meet the filter, from a sample; exact after matching().
  [[nodiscard]] std::size_t estimate() const;

  /// Those that do, in a set that stays as it is. Errors: kResourceExhausted.
  Result<const SlotSet*> matching() const;

 private:
  [[nodiscard]] std::size_t estimate_from_sample() const;

  const std::shared_ptr<const Filter> filter_;
  const BoundFilter::Columns columns_;
  const std::shared_ptr<const SlotSet> items_;
  const SlotSetFilter like_set_;

  mutable std::once_flag is_bound_;
  mutable std::unique_ptr<const BoundFilter> bound_;
  mutable std::mutex mutex_;  // guards the others
  mutable std::optional<std::size_t> estimate_;
  mutable std::unique_ptr<SlotSet> matching_;
  mutable std::size_t plans_ = 0;
};

}  // namespace engram
