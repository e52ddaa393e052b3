// SPDX-License-Identifier: Apache-2.0
// Filters in JSON:
//
//   {"op": "eq" | "ne" | "lt" | "lte" | "gt" | "gte", "field": name, "value": value}
//   {"op": "in", "field": name, "value": [value, ...]}
//   {"op": "exists", "field": name}
//   {"op": "and" | "or", "filters": [filter, ...]}
//   {"op": "not", "filters": [filter]}
//
// A value is a string, a number, true, false or null.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/filters/filter_builder.h"
#include "server/json/json.h"

namespace engram {
namespace {

struct JsonOperator {
  std::string_view name;
  FilterOp op;
};

constexpr std::array kJsonOperators = {
    JsonOperator{"eq", FilterOp::kIsAny},     JsonOperator{"ne", FilterOp::kNot},
    JsonOperator{"lt", FilterOp::kIsLess},    JsonOperator{"lte", FilterOp::kIsAtMost},
    JsonOperator{"gt", FilterOp::kIsGreater}, JsonOperator{"gte", FilterOp::kIsAtLeast},
    JsonOperator{"in", FilterOp::kIsAny},     JsonOperator{"exists", FilterOp::kExists},
    JsonOperator{"and", FilterOp::kAnd},      JsonOperator{"or", FilterOp::kOr},
    JsonOperator{"not", FilterOp::kNot},
};

tl::unexpected<Error> refuse(std::string_view what) {
  return fail(ErrorCode::kInvalidArgument, "syntax error in FILTER: " + std::string(what));
}

tl::unexpected<Error> refuse(const JsonOperator& op, std::string_view what) {
  return refuse("op " + std::string(op.name) + " " + std::string(what));
}

/// The members of a filter that it may have.
struct Members {
  std::optional<JsonValue> op, field, value, filters;

  Status set(std::string_view name, const JsonValue& given) {
    std::optional<JsonValue>* const place = name == "op"        ? &op
                                            : name == "field"   ? &field
                                            : name == "value"   ? &value
                                            : name == "filters" ? &filters
                                                                : nullptr;
    if (place == nullptr) {
      return refuse("a filter has op, field, value and filters, not " +
                    std::string(name.substr(0, 64)));
    }
    if (*place) return refuse("a filter has " + std::string(name) + " once");
    *place = given;
    return {};
  }
};

Result<Members> read_members(const JsonValue& filter) {
  if (filter.kind() != JsonKind::kObject) return refuse("a filter is a JSON object");
  Members members;
  Status status;
  filter.for_each_member([&](std::string_view name, const JsonValue& value) {
    if (status) status = members.set(name, value);
  });
  if (!status) return tl::unexpected(std::move(status.error()));
  return members;
}

Result<const JsonOperator*> read_operator(const Members& members) {
  constexpr std::string_view kNames = "eq, ne, lt, lte, gt, gte, in, exists, and, or or not";
  if (!members.op || members.op->kind() != JsonKind::kString) {
    return refuse("a filter has an op, a string: " + std::string(kNames));
  }
  const std::string_view name = members.op->string();
  const auto* const found =
      std::find_if(kJsonOperators.begin(), kJsonOperators.end(),
                   [&](const JsonOperator& candidate) { return candidate.name == name; });
  if (found == kJsonOperators.end()) {
    return refuse("op is " + std::string(kNames) + ", not " + std::string(name.substr(0, 64)));
  }
  return found;
}

std::optional<FilterConstant> to_constant(const JsonValue& value) {
  switch (value.kind()) {
    case JsonKind::kNull:
      return FilterConstant{.kind = ConstantKind::kNull};
    case JsonKind::kFalse:
      return FilterConstant{.kind = ConstantKind::kFalse};
    case JsonKind::kTrue:
      return FilterConstant{.kind = ConstantKind::kTrue};
    case JsonKind::kNumber:
      return FilterConstant{.kind = ConstantKind::kNumber, .number = value.number()};
    case JsonKind::kString:
      return FilterConstant{.kind = ConstantKind::kString, .text = std::string(value.string())};
    default:
      return std::nullopt;
  }
}

std::vector<JsonValue> items_of(const JsonValue& array) {
  std::vector<JsonValue> items;
  array.for_each_item([&](const JsonValue& item) { items.push_back(item); });
  return items;
}

class JsonCompiler {
 public:
  using Node = FilterBuilder::Node;

  Result<Node> compile(const JsonValue& filter, std::size_t depth) {
    if (depth > Filter::kMostDepth) {
      return fail(ErrorCode::kInvalidArgument,
                  "FILTER nests at most " + std::to_string(Filter::kMostDepth) + " deep");
    }
    const auto members = read_members(filter);
    if (!members) return tl::unexpected(members.error());
    const auto op = read_operator(*members);
    if (!op) return tl::unexpected(op.error());
    const bool joins = (*op)->op == FilterOp::kAnd || (*op)->op == FilterOp::kOr;
    if (joins || (*op)->name == "not") return compile_joined(**op, *members, depth);
    return compile_comparison(**op, *members);
  }

  Filter finish() { return builder_.finish(); }

 private:
  Result<Node> compile_joined(const JsonOperator& op, const Members& members, std::size_t depth) {
    if (!members.filters || members.filters->kind() != JsonKind::kArray || members.field ||
        members.value) {
      return refuse(op, "takes filters, an array, and nothing else");
    }
    const std::vector<JsonValue> filters = items_of(*members.filters);
    if (op.op == FilterOp::kNot && filters.size() != 1) return refuse(op, "takes one filter");
    if (filters.empty()) {
      // As in mathematics: all of none hold, none of none does.
      return builder_.constant(
          {.kind = op.op == FilterOp::kAnd ? ConstantKind::kTrue : ConstantKind::kFalse});
    }
    auto joined = compile(filters.front(), depth + 1);
    if (!joined) return joined;
    if (op.op == FilterOp::kNot) return builder_.operation(op.op, *joined, *joined);
    for (std::size_t i = 1; i < filters.size(); ++i) {
      auto next = compile(filters[i], depth + 1);
      if (!next) return next;
      joined = builder_.operation(op.op, *joined, *next);
      if (!joined) return joined;
    }
    return joined;
  }

  Result<Node> compile_comparison(const JsonOperator& op, const Members& members) {
    const bool takes_value = op.op != FilterOp::kExists;
    if (!members.field || members.field->kind() != JsonKind::kString || members.filters ||
        members.value.has_value() != takes_value) {
      return refuse(op, takes_value ? "takes field, a string, and value, and nothing else"
                                    : "takes field, a string, and nothing else");
    }
    const auto field = builder_.field(members.field->string());
    if (!field || !takes_value) {
      return field ? builder_.operation(op.op, *field, *field) : field;
    }
    auto values = read_values(op, *members.value);
    if (!values) return tl::unexpected(std::move(values.error()));
    const bool is_ordered = op.op != FilterOp::kIsAny && op.op != FilterOp::kNot;
    auto value = is_ordered ? builder_.constant(std::move(values->front()))
                            : builder_.list(std::move(*values));
    if (!value) return value;
    if (op.op != FilterOp::kNot) return builder_.operation(op.op, *field, *value);
    auto equal = builder_.operation(FilterOp::kIsAny, *field, *value);
    return equal ? builder_.operation(FilterOp::kNot, *equal, *equal) : equal;
  }

  static Result<std::vector<FilterConstant>> read_values(const JsonOperator& op,
                                                         const JsonValue& value) {
    const bool is_list = op.name == "in";
    if (is_list && value.kind() != JsonKind::kArray) return refuse(op, "takes an array of values");
    std::vector<FilterConstant> values;
    for (const JsonValue& member : is_list ? items_of(value) : std::vector{value}) {
      auto constant = to_constant(member);
      if (!constant) return refuse(op, "takes strings, numbers, true, false and null as values");
      values.push_back(std::move(*constant));
    }
    return values;
  }

  FilterBuilder builder_{false};
};

}  // namespace

Result<Filter> compile_json_filter(std::string_view text) {
  // Each level of a filter is two of JSON, and a list of values one more.
  JsonReader reader({.bytes = Filter::kMostBytes, .depth = 2 * Filter::kMostDepth + 1});
  const auto root = reader.read(text);
  if (!root && root.error().code == ErrorCode::kInvalidArgument) {
    return refuse("it " + root.error().message);
  }
  if (!root) return tl::unexpected(root.error());
  JsonCompiler compiler;
  ENGRAM_TRY(compiler.compile(*root, 1));
  return compiler.finish();
}

}  // namespace engram
