// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/item_filter.h"
#include "core/slot.h"
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

  [[nodiscard]] std::uint64_t select_word(Slot first, std::uint64_t asked) const noexcept override;
  [[nodiscard]] double weight() const noexcept override;

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
  const Columns columns_;  // of its fields
  std::unique_ptr<const Plan> plan_;
};

}  // namespace engram
