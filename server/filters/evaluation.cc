// SPDX-License-Identifier: Apache-2.0
// Sixty-four items go through the nodes of a filter together: what is true of them is a bit each of
// one word, and numbers are arrays. A field that meets a constant, which is what most filters are
// made of, is a test of cells; a node with other operands takes them value by value.
#include "server/filters/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <utility>

#include "server/filters/bits.h"
#include "server/filters/cell_test.h"
#include "server/filters/filter_value.h"

namespace engram {
namespace {

double calculate(FilterOp op, double a, double b) noexcept {
  switch (op) {
    case FilterOp::kAdd:
      return a + b;
    case FilterOp::kSubtract:
      return a - b;
    case FilterOp::kMultiply:
      return a * b;
    case FilterOp::kDivide:
      return a / b;
    case FilterOp::kModulo:
      return std::fmod(a, b);
    default:
      return std::pow(a, b);
  }
}

/// Calls use(compare) with what compares two values as `op` says.
template <class Use>
std::uint64_t with_order(FilterOp op, Use&& use) noexcept {
  switch (op) {
    case FilterOp::kLess:
    case FilterOp::kIsLess:
      return use(std::less<>());
    case FilterOp::kAtMost:
    case FilterOp::kIsAtMost:
      return use(std::less_equal<>());
    case FilterOp::kGreater:
    case FilterOp::kIsGreater:
      return use(std::greater<>());
    default:
      return use(std::greater_equal<>());
  }
}

}  // namespace

/// Where an operand is.
struct BoundFilter::Source {
  enum class Kind : std::uint8_t { kField, kConstant, kNumbers, kBits };
  Kind kind = Kind::kConstant;
  std::uint32_t index = 0;  // of a column, a constant, or a register
};

struct BoundFilter::Step {
  enum class Kind : std::uint8_t {
    kCalculate,     // numbers of numbers
    kOrder,         // bits of numbers
    kEqualNumbers,  // bits of numbers
    kTest,          // whether a field equals a constant
    kMember,        // whether a field has a constant in it
    kAmong,         // whether a number is in a list of constants
    kSettled,       // equality and `in` of constants
    kValues,        // equality and `in` of others
    kStrictOrder,
    kExists,
    kNot,
    kAnd,
    kOr,
  };
  Kind kind;
  FilterOp op;
  Source left, right;
  std::uint32_t target;    // the register of what comes of it
  std::uint32_t test = 0;  // of kTest, kMember; the list of kAmong; of kSettled, whether it holds
};

struct BoundFilter::Plan {
  std::vector<Step> steps;
  std::vector<CellTest> tests;
  std::vector<std::vector<double>> lists;  // of numbers, sorted
  Source root;
};

/// What is known of some items. Not cleared: a step writes a register before another reads it.
struct BoundFilter::Chunk {
  using Cells = std::array<std::uint64_t, kTogether>;  // their bits

  explicit Chunk(std::size_t items) noexcept : count(items) {}

  std::size_t count;
  std::array<Cells, Filter::kMostFields> cells;
  std::array<bool, Filter::kMostFields> are_numbers;  // all of the cells
  std::array<std::uint64_t, Filter::kMostDepth + 1> bits;
  std::array<std::array<double, kTogether>, Filter::kMostDepth + 1> numbers;

  [[nodiscard]] Cell cell(std::size_t field, std::size_t i) const noexcept {
    return Cell::from_bits(cells[field][i]);
  }
  /// The cells of a field have been read.
  void look_at(std::size_t field) noexcept {
    std::uint64_t others = 0;
    for (std::size_t i = 0; i < count; ++i) others |= Cell::is_number(cells[field][i]) ? 0 : 1;
    are_numbers[field] = others == 0;
  }
};

/// Makes steps of the nodes.
class BoundFilter::Planner {
 public:
  Planner(const Filter& filter, const Columns& columns) : filter_(filter), columns_(columns) {}

  std::unique_ptr<const Plan> plan() {
    for (const FilterNode& node : filter_.nodes()) {
      sources_.push_back(is_leaf(node) ? Source{kind_of_leaf(node), node.left} : add_step(node));
    }
    plan_->root = sources_.back();
    return std::move(plan_);
  }

 private:
  using Kind = Source::Kind;

  static bool is_leaf(const FilterNode& node) noexcept {
    return node.op == FilterOp::kConstant || node.op == FilterOp::kField;
  }
  static Kind kind_of_leaf(const FilterNode& node) noexcept {
    return node.op == FilterOp::kField ? Kind::kField : Kind::kConstant;
  }
  [[nodiscard]] bool is_leaf(const Source& source) const noexcept {
    return source.kind == Kind::kField || source.kind == Kind::kConstant;
  }
  [[nodiscard]] bool is_number(const Source& source) const noexcept {
    return source.kind == Kind::kNumbers || source.kind == Kind::kBits ||
           (source.kind == Kind::kConstant &&
            filter_.constants()[source.index].kind == ConstantKind::kNumber);
  }

  Source add_step(const FilterNode& node) {
    Source left = sources_[node.left];
    Source right = sources_[node.right];
    const bool is_binary = node.left != node.right;
    // Registers are a stack: what a node takes from it is on its top.
    if (is_binary && !is_leaf(right)) --registers_;
    if (!is_leaf(left)) --registers_;
    Step step{.kind = kind_of(node.op),
              .op = node.op,
              .left = left,
              .right = right,
              .target = registers_++};
    if (step.kind == Step::Kind::kValues) specialise(step);
    plan_->steps.push_back(step);
    return {step.kind == Step::Kind::kCalculate ? Kind::kNumbers : Kind::kBits, step.target};
  }

  static Step::Kind kind_of(FilterOp op) noexcept {
    switch (op) {
      case FilterOp::kAdd:
      case FilterOp::kSubtract:
      case FilterOp::kMultiply:
      case FilterOp::kDivide:
      case FilterOp::kModulo:
      case FilterOp::kPower:
        return Step::Kind::kCalculate;
      case FilterOp::kLess:
      case FilterOp::kAtMost:
      case FilterOp::kGreater:
      case FilterOp::kAtLeast:
        return Step::Kind::kOrder;
      case FilterOp::kIsLess:
      case FilterOp::kIsAtMost:
      case FilterOp::kIsGreater:
      case FilterOp::kIsAtLeast:
        return Step::Kind::kStrictOrder;
      case FilterOp::kExists:
        return Step::Kind::kExists;
      case FilterOp::kNot:
        return Step::Kind::kNot;
      case FilterOp::kAnd:
        return Step::Kind::kAnd;
      case FilterOp::kOr:
        return Step::Kind::kOr;
      default:
        return Step::Kind::kValues;
    }
  }

  /// Equality and `in`, where their operands allow it.
  void specialise(Step& step) {
    const bool is_equality = step.op == FilterOp::kEqual || step.op == FilterOp::kNotEqual;
    if (is_equality && is_number(step.left) && is_number(step.right)) {
      step.kind = Step::Kind::kEqualNumbers;
      return;
    }
    if (is_equality && step.left.kind == Kind::kConstant) std::swap(step.left, step.right);
    const std::span<const FilterConstant> constants = filter_.constants();
    if (step.left.kind == Kind::kConstant && step.right.kind == Kind::kConstant) {
      const auto left = FilterValue::of(constants[step.left.index], constants);
      const auto right = FilterValue::of(constants[step.right.index], constants);
      step.kind = Step::Kind::kSettled;
      step.test = (is_equality ? equal(left, right) : is_in(left, right)) ? 1 : 0;
    } else if (!is_equality && is_number(step.left) && step.right.kind == Kind::kConstant) {
      add_list(step, constants[step.right.index]);
    } else if (step.left.kind == Kind::kField && step.right.kind == Kind::kConstant) {
      const FilterConstant& constant = constants[step.right.index];
      if (is_equality) return add_test(step, Step::Kind::kTest, {&constant, 1});
      if (constant.kind == ConstantKind::kList) {
        add_test(step, Step::Kind::kTest, constants.subspan(constant.first, constant.members));
      }
    } else if (step.op == FilterOp::kIn && step.left.kind == Kind::kConstant &&
               step.right.kind == Kind::kField) {
      std::swap(step.left, step.right);
      add_test(step, Step::Kind::kMember, {&constants[step.right.index], 1});
    }
  }

  /// A number is in no string. An item is not to cost what the list is long.
  void add_list(Step& step, const FilterConstant& list) {
    const std::span<const FilterConstant> constants = filter_.constants();
    std::vector<double> numbers;
    if (list.kind == ConstantKind::kList) {
      for (const FilterConstant& member : constants.subspan(list.first, list.members)) {
        if (member.kind == ConstantKind::kNull) continue;
        numbers.push_back(FilterValue::of(member, constants).number);
      }
    }
    sort_numbers(numbers);
    step.kind = Step::Kind::kAmong;
    step.test = static_cast<std::uint32_t>(plan_->lists.size());
    plan_->lists.push_back(std::move(numbers));
  }

  void add_test(Step& step, Step::Kind kind, std::span<const FilterConstant> constants) {
    step.kind = kind;
    step.test = static_cast<std::uint32_t>(plan_->tests.size());
    plan_->tests.emplace_back(*columns_[step.left.index], constants, step.op != FilterOp::kIsAny);
  }

  const Filter& filter_;
  const Columns& columns_;
  std::unique_ptr<Plan> plan_ = std::make_unique<Plan>();
  std::vector<Source> sources_;  // of nodes
  std::uint32_t registers_ = 0;
};

BoundFilter::BoundFilter(std::shared_ptr<const Filter> filter, Columns columns)
    : filter_(std::move(filter)),
      columns_(std::move(columns)),
      plan_(Planner(*filter_, columns_).plan()) {}

BoundFilter::~BoundFilter() = default;

bool BoundFilter::accepts(Slot slot) const noexcept {
  bool accepted = false;
  select({&slot, 1}, {&accepted, 1});
  return accepted;
}

void BoundFilter::select(std::span<const Slot> slots, std::span<bool> accepted) const noexcept {
  for (std::size_t begin = 0; begin < slots.size(); begin += kTogether) {
    Chunk chunk(std::min(kTogether, slots.size() - begin));
    for (std::size_t field = 0; field < columns_.size(); ++field) {
      const Column& column = *columns_[field];
      for (std::size_t i = 0; i < chunk.count; ++i) {
        chunk.cells[field][i] = column.at(slots[begin + i]).bits();
      }
      chunk.look_at(field);
    }
    const std::uint64_t bits = match(chunk);
    for (std::size_t i = 0; i < chunk.count; ++i) accepted[begin + i] = (bits >> i & 1) != 0;
  }
}

std::uint64_t BoundFilter::select_word(Slot first, std::uint64_t asked) const noexcept {
  if (asked == 0) return 0;
  Chunk chunk(kTogether);
  for (std::size_t field = 0; field < columns_.size(); ++field) {
    columns_[field]->read(first, chunk.cells[field]);
    chunk.look_at(field);
  }
  return match(chunk) & asked;
}

/// Measured.
double BoundFilter::weight() const noexcept {
  constexpr double kField = 2;
  double weight = kField * static_cast<double>(std::max<std::size_t>(columns_.size(), 1));
  for (const Step& step : plan_->steps) {
    switch (step.kind) {
      case Step::Kind::kCalculate:
        weight += step.op == FilterOp::kModulo ? 200 : step.op == FilterOp::kPower ? 80 : 6;
        break;
      case Step::Kind::kMember:
      case Step::Kind::kValues:
        weight += 60;
        break;
      case Step::Kind::kTest:
      case Step::Kind::kAmong:
      case Step::Kind::kOrder:
      case Step::Kind::kStrictOrder:
        weight += 4;
        break;
      default:
        break;
    }
  }
  return weight;
}

std::uint64_t BoundFilter::match(Chunk& chunk) const noexcept {
  std::uint64_t asked = first_bits(chunk.count);
  if (filter_->needs_all_fields()) asked &= present(chunk);
  if (asked == 0) return 0;
  for (const Step& step : plan_->steps) run(step, chunk);
  return truth(plan_->root, chunk) & asked;
}

/// Those that have all fields.
std::uint64_t BoundFilter::present(const Chunk& chunk) const noexcept {
  std::uint64_t bits = first_bits(chunk.count);
  for (std::size_t field = 0; field < columns_.size(); ++field) {
    if (chunk.are_numbers[field]) continue;
    bits &= gather_bits(chunk.count, [&](std::size_t i) {
      const Cell cell = chunk.cell(field, i);
      if (cell.is_number()) return true;
      if (cell.kind() == CellKind::kList) return !columns_[field]->list(cell).has_object;
      return !cell.is_missing() && cell.kind() != CellKind::kObject;
    });
  }
  return bits;
}

std::uint64_t BoundFilter::truth(const Source& source, const Chunk& chunk) const noexcept {
  switch (source.kind) {
    case Source::Kind::kField:
      return gather_bits(chunk.count, [&](std::size_t i) {
        return truth_of(chunk.cell(source.index, i), *columns_[source.index]);
      });
    case Source::Kind::kConstant:
      return truth_of(filter_->constants()[source.index]) ? first_bits(chunk.count) : 0;
    case Source::Kind::kNumbers:
      return gather_bits(chunk.count,
                         [&](std::size_t i) { return chunk.numbers[source.index][i] != 0; });
    default:
      return chunk.bits[source.index];
  }
}

/// Of each item the number that the operand counts as, in `room` or elsewhere.
const double* BoundFilter::numbers(const Source& source, const Chunk& chunk,
                                   double* room) const noexcept {
  switch (source.kind) {
    case Source::Kind::kField:
      if (chunk.are_numbers[source.index]) {
        for (std::size_t i = 0; i < chunk.count; ++i) {
          room[i] = chunk.cell(source.index, i).value();
        }
        return room;
      }
      for (std::size_t i = 0; i < chunk.count; ++i) {
        room[i] = number_of(chunk.cell(source.index, i), *columns_[source.index]);
      }
      return room;
    case Source::Kind::kConstant: {
      const auto value = FilterValue::of(filter_->constants()[source.index], filter_->constants());
      std::fill_n(room, chunk.count, value.number);
      return room;
    }
    case Source::Kind::kNumbers:
      return chunk.numbers[source.index].data();
    default:
      for (std::size_t i = 0; i < chunk.count; ++i) {
        room[i] = static_cast<double>(chunk.bits[source.index] >> i & 1);
      }
      return room;
  }
}

void BoundFilter::run(const Step& step, Chunk& chunk) const noexcept {
  const std::size_t count = chunk.count;
  std::array<double, kTogether> left_room, right_room;
  const auto both = [&](auto&& use) {
    const double* const left = numbers(step.left, chunk, left_room.data());
    const double* const right = numbers(step.right, chunk, right_room.data());
    return use(left, right);
  };
  const auto cell = [&](std::size_t i) { return chunk.cell(step.left.index, i); };
  const auto value = [&](const Source& source, std::size_t i) {
    switch (source.kind) {
      case Source::Kind::kField:
        return FilterValue::of(chunk.cell(source.index, i), *columns_[source.index]);
      case Source::Kind::kConstant:
        return FilterValue::of(filter_->constants()[source.index], filter_->constants());
      case Source::Kind::kNumbers:
        return FilterValue::of(chunk.numbers[source.index][i]);
      default:
        return FilterValue::of(static_cast<double>(chunk.bits[source.index] >> i & 1));
    }
  };
  std::uint64_t bits = 0;
  switch (step.kind) {
    case Step::Kind::kCalculate:
      return both([&](const double* left, const double* right) {
        // The target may be the register of an operand: each element is read before it is written.
        for (std::size_t i = 0; i < count; ++i) {
          chunk.numbers[step.target][i] = calculate(step.op, left[i], right[i]);
        }
      });
    case Step::Kind::kOrder:
      bits = both([&](const double* left, const double* right) {
        return with_order(step.op, [&](auto less) {
          return pack_bits(count, [&](std::size_t i) { return less(left[i], right[i]); });
        });
      });
      break;
    case Step::Kind::kEqualNumbers:
      bits = both([&](const double* left, const double* right) {
        return pack_bits(count, [&](std::size_t i) { return left[i] == right[i]; });
      });
      break;
    case Step::Kind::kTest: {
      const CellTest& test = plan_->tests[step.test];
      bits = gather_bits(count, [&](std::size_t i) { return test.meets(cell(i)); });
      break;
    }
    case Step::Kind::kMember: {
      const CellTest& test = plan_->tests[step.test];
      bits = gather_bits(count, [&](std::size_t i) {
        if (cell(i).kind() == CellKind::kList) return test.meets_member(cell(i));
        return cell(i).kind() == CellKind::kString &&
               is_in(value(step.right, i), value(step.left, i));
      });
      break;
    }
    case Step::Kind::kAmong: {
      const std::vector<double>& list = plan_->lists[step.test];
      const double* const left = numbers(step.left, chunk, left_room.data());
      bits = gather_bits(count, [&](std::size_t i) { return is_in_sorted(list, left[i]); });
      break;
    }
    case Step::Kind::kSettled:
      bits = step.test != 0 ? first_bits(count) : 0;
      break;
    case Step::Kind::kValues:
      bits = gather_bits(count, [&](std::size_t i) {
        const FilterValue left = value(step.left, i);
        const FilterValue right = value(step.right, i);
        return step.op == FilterOp::kIn ? is_in(left, right) : equal(left, right);
      });
      break;
    case Step::Kind::kStrictOrder: {
      const FilterConstant& bound = filter_->constants()[step.right.index];
      const Column& column = *columns_[step.left.index];
      bits = with_order(step.op, [&](auto less) {
        return gather_bits(count, [&](std::size_t i) {
          if (bound.kind == ConstantKind::kNumber) {
            return cell(i).is_number() && less(cell(i).value(), bound.number);
          }
          return bound.kind == ConstantKind::kString && cell(i).kind() == CellKind::kString &&
                 less(column.string(cell(i)), std::string_view(bound.text));
        });
      });
      break;
    }
    case Step::Kind::kExists:
      bits = gather_bits(count, [&](std::size_t i) { return !cell(i).is_missing(); });
      break;
    case Step::Kind::kNot:
      bits = ~truth(step.left, chunk) & first_bits(count);
      break;
    case Step::Kind::kAnd:
      bits = truth(step.left, chunk) & truth(step.right, chunk);
      break;
    case Step::Kind::kOr:
      bits = truth(step.left, chunk) | truth(step.right, chunk);
      break;
  }
  if (step.op == FilterOp::kNotEqual) bits = ~bits & first_bits(count);
  chunk.bits[step.target] = bits;
}

}  // namespace engram
