// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "server/filters/cell.h"
#include "server/filters/column.h"
#include "server/filters/filter.h"

namespace engram {

/// Sorts, and keeps each number once. NaN equals nothing, and goes.
void sort_numbers(std::vector<double>& numbers);

/// Whether `value` is among `sorted`.
template <class T>
bool is_in_sorted(const std::vector<T>& sorted, T value) noexcept {
  constexpr std::size_t kFew = 8;
  if (sorted.size() > kFew) {
    // std::binary_search() finds whatever is not less: NaN, which equals nothing, everywhere.
    const auto found = std::lower_bound(sorted.begin(), sorted.end(), value);
    return found != sorted.end() && *found == value;
  }
  for (const T& one : sorted) {
    if (one == value) return true;
  }
  return false;
}

/// Whether a cell of a column equals one of some constants, which are looked up once.
class CellTest {
 public:
  /// converts: equality is that of Redis's grammar. `column` outlives this.
  CellTest(const Column& column, std::span<const FilterConstant> constants, bool converts);

  [[nodiscard]] bool meets(Cell cell) const noexcept {
    switch (cell.kind()) {
      case CellKind::kNumber:
        return is_in_sorted(of_numbers_, cell.value());
      case CellKind::kString:
        return is_in_sorted(codes_, cell.code()) ||
               (!of_strings_.empty() && is_in_sorted(of_strings_, column_.spelled(cell)));
      case CellKind::kTrue:
        return is_true_;
      case CellKind::kFalse:
        return is_false_;
      case CellKind::kNull:
        return is_null_;
      case CellKind::kList:
        return converts_ ? is_list_ : meets_member(cell);
      default:
        return false;
    }
  }

  /// Whether a member of a list does.
  [[nodiscard]] bool meets_member(Cell list) const noexcept;

 private:
  void add(const FilterConstant& constant);

  const Column& column_;
  const bool converts_;
  std::vector<double> of_numbers_;  // sorted, as the others: that a number may equal
  std::vector<double> of_strings_;  // that what a string spells may equal
  std::vector<std::uint32_t> codes_;
  bool is_null_ = false;
  bool is_true_ = false;
  bool is_false_ = false;
  bool is_list_ = false;
};

}  // namespace engram
