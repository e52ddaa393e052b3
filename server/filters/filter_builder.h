// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/filters/filter.h"

namespace engram {

/// Makes a Filter node by node, within its bounds. Errors: kInvalidArgument.
class FilterBuilder {
 public:
  explicit FilterBuilder(bool needs_all_fields) { filter_.needs_all_fields_ = needs_all_fields; }

  using Node = std::uint32_t;

  Result<Node> field(std::string_view name);
  Result<Node> constant(FilterConstant constant);
  Result<Node> list(std::vector<FilterConstant> members);
  /// `right` of an operator with one operand: the same as `left`.
  Result<Node> operation(FilterOp op, Node left, Node right);

  /// The filter whose root is the node that was made last.
  Filter finish() { return std::move(filter_); }

 private:
  Result<Node> add(const FilterNode& node, std::size_t depth);

  Filter filter_;
  std::vector<std::size_t> depths_;  // of nodes
};

/// The grammars, of texts that are not too long.
Result<Filter> compile_redis_filter(std::string_view text);
Result<Filter> compile_json_filter(std::string_view text);

}  // namespace engram
