// SPDX-License-Identifier: Apache-2.0
#include "server/filters/filter.h"

#include <algorithm>
#include <iterator>

#include "server/filters/column.h"
#include "server/filters/filter_builder.h"

namespace engram {
namespace {

void spell(FilterConstant& constant) noexcept {
  if (constant.kind == ConstantKind::kString) constant.number = spelled_number(constant.text);
}

}  // namespace

Result<Filter> Filter::compile(std::string_view text) {
  if (text.size() > kMostBytes) {
    return fail(ErrorCode::kInvalidArgument, "FILTER takes at most " + std::to_string(kMostBytes) +
                                                 " bytes, got " + std::to_string(text.size()));
  }
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const bool is_json = begin != std::string_view::npos && text[begin] == '{';
  auto filter = is_json ? compile_json_filter(text) : compile_redis_filter(text);
  if (filter) filter->text_ = text;
  return filter;
}

Result<FilterBuilder::Node> FilterBuilder::field(std::string_view name) {
  auto& fields = filter_.fields_;
  const auto known = std::find(fields.begin(), fields.end(), name);
  const auto index = static_cast<std::uint32_t>(known - fields.begin());
  if (known == fields.end()) {
    if (fields.size() == Filter::kMostFields) {
      return fail(ErrorCode::kInvalidArgument,
                  "FILTER names at most " + std::to_string(Filter::kMostFields) + " fields");
    }
    fields.emplace_back(name);
  }
  return add({FilterOp::kField, index}, 0);
}

Result<FilterBuilder::Node> FilterBuilder::constant(FilterConstant constant) {
  const auto index = static_cast<std::uint32_t>(filter_.constants_.size());
  spell(constant);
  filter_.constants_.push_back(std::move(constant));
  return add({FilterOp::kConstant, index}, 0);
}

Result<FilterBuilder::Node> FilterBuilder::list(std::vector<FilterConstant> members) {
  auto& constants = filter_.constants_;
  const FilterConstant list{.kind = ConstantKind::kList,
                            .first = static_cast<std::uint32_t>(constants.size()),
                            .members = static_cast<std::uint32_t>(members.size())};
  std::for_each(members.begin(), members.end(), spell);
  std::move(members.begin(), members.end(), std::back_inserter(constants));
  return constant(list);
}

Result<FilterBuilder::Node> FilterBuilder::operation(FilterOp op, Node left, Node right) {
  // What is on the left is at hand while the right is found, so a chain is no deeper than a pair.
  const std::size_t depth =
      left == right ? depths_[left] : std::max(depths_[left], depths_[right] + 1);
  return add({op, left, right}, depth);
}

Result<FilterBuilder::Node> FilterBuilder::add(const FilterNode& node, std::size_t depth) {
  if (filter_.nodes_.size() == Filter::kMostNodes) {
    return fail(ErrorCode::kInvalidArgument, "FILTER has at most " +
                                                 std::to_string(Filter::kMostNodes) +
                                                 " fields, values and operators");
  }
  if (depth > Filter::kMostDepth) {
    return fail(ErrorCode::kInvalidArgument,
                "FILTER nests at most " + std::to_string(Filter::kMostDepth) + " deep");
  }
  filter_.nodes_.push_back(node);
  depths_.push_back(depth);
  return static_cast<Node>(filter_.nodes_.size() - 1);
}

}  // namespace engram
