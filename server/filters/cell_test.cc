// SPDX-License-Identifier: Apache-2.0
#include "server/filters/cell_test.h"

#include <algorithm>
#include <cmath>

namespace engram {

void sort_numbers(std::vector<double>& numbers) {
  std::erase_if(numbers, [](double number) { return std::isnan(number); });
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

CellTest::CellTest(const Column& column, std::span<const FilterConstant> constants, bool converts)
    : column_(column), converts_(converts) {
  for (const FilterConstant& constant : constants) add(constant);
  sort_numbers(of_numbers_);
  sort_numbers(of_strings_);
  std::sort(codes_.begin(), codes_.end());
  if (!converts_) return;
  is_true_ = is_in_sorted(of_numbers_, 1.0);
  is_false_ = is_in_sorted(of_numbers_, 0.0);
  is_list_ = is_false_;  // a list is no number, and so counts as 0
}

void CellTest::add(const FilterConstant& constant) {
  switch (constant.kind) {
    case ConstantKind::kNull:
      is_null_ = true;
      return;
    case ConstantKind::kFalse:
      is_false_ = true;
      return;
    case ConstantKind::kTrue:
      is_true_ = true;
      return;
    case ConstantKind::kNumber:
      of_numbers_.push_back(constant.number);
      if (converts_) of_strings_.push_back(constant.number);
      return;
    case ConstantKind::kString: {
      const Cell known = column_.find(constant.text);
      if (!known.is_missing()) codes_.push_back(known.code());
      if (converts_) of_numbers_.push_back(constant.number);
      return;
    }
    case ConstantKind::kList:
      of_numbers_.push_back(0);
      of_strings_.push_back(0);
  }
}

bool CellTest::meets_member(Cell list) const noexcept {
  const auto members = column_.list(list).cells;
  return std::any_of(members.begin(), members.end(), [this](Cell member) {
    return (converts_ || member.kind() != CellKind::kList) && meets(member);
  });
}

}  // namespace engram
