// SPDX-License-Identifier: Apache-2.0
#include "server/filters/filter_value.h"

#include <string.h>

#include <algorithm>

namespace engram {

FilterValue FilterValue::of(double number) noexcept {
  return {.kind = ConstantKind::kNumber, .number = number};
}

FilterValue FilterValue::of(const FilterConstant& constant,
                            std::span<const FilterConstant> all) noexcept {
  switch (constant.kind) {
    case ConstantKind::kNull:
      return {};
    case ConstantKind::kString:
      return {.kind = ConstantKind::kString, .number = constant.number, .text = constant.text};
    case ConstantKind::kList:
      return {.kind = ConstantKind::kList,
              .constants = all.subspan(constant.first, constant.members)};
    case ConstantKind::kNumber:
      return of(constant.number);
    default:
      return of(constant.kind == ConstantKind::kTrue ? 1 : 0);
  }
}

FilterValue FilterValue::of(Cell cell, const Column& column) noexcept {
  switch (cell.kind()) {
    case CellKind::kString:
      return {.kind = ConstantKind::kString,
              .number = column.spelled(cell),
              .text = column.string(cell)};
    case CellKind::kList:
      return {.kind = ConstantKind::kList, .column = &column, .cells = column.list(cell).cells};
    case CellKind::kNull:
      return {};
    default:
      return of(number_of(cell, column));
  }
}

bool truth_of(Cell cell, const Column& column) noexcept {
  switch (cell.kind()) {
    case CellKind::kNumber:
      return cell.value() != 0;
    case CellKind::kString:
      return !column.string(cell).empty();
    case CellKind::kTrue:
    case CellKind::kList:
      return true;
    default:
      return false;
  }
}

bool truth_of(const FilterConstant& constant) noexcept {
  switch (constant.kind) {
    case ConstantKind::kNumber:
      return constant.number != 0;
    case ConstantKind::kString:
      return !constant.text.empty();
    case ConstantKind::kTrue:
    case ConstantKind::kList:
      return true;
    default:
      return false;
  }
}

bool equal(const FilterValue& a, const FilterValue& b) noexcept {
  if (a.kind == ConstantKind::kString && b.kind == ConstantKind::kString) return a.text == b.text;
  if (a.kind == ConstantKind::kNull || b.kind == ConstantKind::kNull) return a.kind == b.kind;
  return a.number == b.number;
}

bool is_in(const FilterValue& a, const FilterValue& b) noexcept {
  if (b.kind == ConstantKind::kString) {
    // std::string_view::find() may take the product of the lengths, this takes their sum.
    return a.kind == ConstantKind::kString &&
           (a.text.empty() ||
            memmem(b.text.data(), b.text.size(), a.text.data(), a.text.size()) != nullptr);
  }
  if (b.kind != ConstantKind::kList) return false;
  const bool has_cell =
      b.column != nullptr && std::any_of(b.cells.begin(), b.cells.end(), [&](Cell cell) {
        return equal(a, FilterValue::of(cell, *b.column));
      });
  return has_cell ||
         std::any_of(b.constants.begin(), b.constants.end(), [&](const FilterConstant& constant) {
           return equal(a, FilterValue::of(constant, b.constants));
         });
}

}  // namespace engram
