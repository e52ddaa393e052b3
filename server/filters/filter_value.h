// SPDX-License-Identifier: Apache-2.0
// Values one by one, by the rules of Redis's grammar: what is asked of few items, or of values that
// are no field and constant, which evaluation.cc asks of many at once.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "server/filters/cell.h"
#include "server/filters/column.h"
#include "server/filters/filter.h"

namespace engram {

/// A null, a number, a string or a list.
struct FilterValue {
  ConstantKind kind = ConstantKind::kNull;
  double number = 0;  ///< of a number; of another, what it counts as
  std::string_view text = {};
  const Column* column = nullptr;  ///< where a list is `cells`
  std::span<const Cell> cells = {};
  std::span<const FilterConstant> constants = {};  ///< members of a list that is one

  static FilterValue of(double number) noexcept;
  static FilterValue of(const FilterConstant& constant,
                        std::span<const FilterConstant> all) noexcept;
  /// Of a cell that is neither missing nor an object.
  static FilterValue of(Cell cell, const Column& column) noexcept;
};

/// The number that a cell counts as.
inline double number_of(Cell cell, const Column& column) noexcept {
  if (cell.is_number()) return cell.value();
  if (cell.kind() == CellKind::kString) return column.spelled(cell);
  return cell.kind() == CellKind::kTrue ? 1 : 0;
}

/// Whether a cell counts as true.
bool truth_of(Cell cell, const Column& column) noexcept;
bool truth_of(const FilterConstant& constant) noexcept;

bool equal(const FilterValue& a, const FilterValue& b) noexcept;
/// Of a list: whether a member equals `a`; of strings: whether `b` has `a` within it.
bool is_in(const FilterValue& a, const FilterValue& b) noexcept;

}  // namespace engram
