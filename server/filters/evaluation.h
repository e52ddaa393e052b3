// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/item_filter.h"
#include "core/result.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "server/filters/column.h"
#include "server/filters/filter.h"

namespace engram {

/// A filter with the columns of its fields, ready to be asked: in steps, each of up to 64 items at
/// once. Strings of the filter are looked up when it is made: a string that no item had then equals
/// none. Threads: any.
class BoundFilter final : public ItemFilter {
 public:
  using Columns = std::vector<std::shared_ptr<const Column>>;

  /// columns[i] is of filter->fields()[i].
  BoundFilter(std::shared_ptr<const Filter> filter, Columns columns);
  ~BoundFilter() override;

  [[nodiscard]] bool accepts(Slot slot) const noexcept override;
  void select(std::span<const Slot> slots, std::span<bool> accepted) const noexcept override;

  /// Adds to `matching` the slots in [64 * first, 64 * end) that are in `items` and accepted.
  /// Errors: kResourceExhausted.
  Status collect(const SlotSet& items, std::size_t first, std::size_t end, SlotSet& matching) const;

 private:
  struct Source;
  struct Step;
  struct Chunk;
  class Planner;
  struct Plan;

  [[nodiscard]] std::uint64_t match(Chunk& chunk) const noexcept;
  [[nodiscard]] std::uint64_t present(const Chunk& chunk) const noexcept;
  [[nodiscard]] std::uint64_t truth(const Source& source, const Chunk& chunk) const noexcept;
  [[nodiscard]] const double* numbers(const Source& source, const Chunk& chunk,
                                      double* room) const noexcept;
  void run(const Step& step, Chunk& chunk) const noexcept;

  const std::shared_ptr<const Filter> filter_;
  const Columns columns_;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace engram
