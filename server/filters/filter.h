// SPDX-License-Identifier: Apache-2.0
// A condition on attributes, as clients write it. There are two grammars: the expressions of Redis
// 8's vector sets (redis_grammar.cc), and JSON (json_grammar.cc), for texts that begin with `{`.
// Both compile to the tree that is here; evaluation.h asks it of items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

/// What a node of a filter is. Operators of Redis's grammar convert: what is no number counts as
/// the one that it spells, or as 0; those of JSON's compare values of one kind alone.
enum class FilterOp : std::uint8_t {
  kConstant,
  kField,
  // Of numbers, as Redis has them.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kLess,
  kAtMost,
  kGreater,
  kAtLeast,
  // Of any values, as Redis has them.
  kEqual,
  kNotEqual,
  kIn,
  // Of a field and a constant, as JSON has them.
  kIsAny,  ///< of a list of constants; of a field that is a list: a member is
  kIsLess,
  kIsAtMost,
  kIsGreater,
  kIsAtLeast,
  kExists,  ///< of a field alone
  // Of both.
  kNot,
  kAnd,
  kOr,
};

/// A node; its operands are nodes before it.
struct FilterNode {
  FilterOp op;
  std::uint32_t left = 0;   ///< of a constant and a field: its index
  std::uint32_t right = 0;  ///< of operators with two operands
};

enum class ConstantKind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kList };

/// A constant; the members of a list are constants that stand together.
struct FilterConstant {
  ConstantKind kind;
  double number = 0;          ///< of a number; of a string, what it spells
  std::string text = {};      ///< of a string
  std::uint32_t first = 0;    ///< of a list: its first member
  std::uint32_t members = 0;  ///< of a list
};

/// A compiled filter. Immutable.
class Filter {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{64} << 10;
  /// Nodes, without members of lists: what an item costs.
  static constexpr std::size_t kMostNodes = 256;
  static constexpr std::size_t kMostFields = 32;
  /// Operators in each other.
  static constexpr std::size_t kMostDepth = 64;

  /// Errors: kInvalidArgument, with a sentence that needs no other before it; kResourceExhausted.
  static Result<Filter> compile(std::string_view text);

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// The fields that it names, each once. A field within objects has their names before its own,
  /// with dots between.
  [[nodiscard]] std::span<const std::string> fields() const noexcept { return fields_; }
  /// Operands before operators; the last is the root.
  [[nodiscard]] std::span<const FilterNode> nodes() const noexcept { return nodes_; }
  [[nodiscard]] std::span<const FilterConstant> constants() const noexcept { return constants_; }
  /// Whether it is false of an item that lacks a field, or whose value is an object or has one
  /// among its members: as in Redis's grammar, whatever the operators are.
  [[nodiscard]] bool needs_all_fields() const noexcept { return needs_all_fields_; }

 private:
  friend class FilterBuilder;
  Filter() = default;

  std::string text_;
  std::vector<std::string> fields_;
  std::vector<FilterNode> nodes_;
  std::vector<FilterConstant> constants_;
  bool needs_all_fields_ = false;
};

}  // namespace engram
