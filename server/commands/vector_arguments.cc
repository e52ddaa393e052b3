// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_arguments.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/row.h"
#include "core/text.h"
#include "server/commands/errors.h"
#include "server/engine/keyspace.h"

namespace engram {
namespace {

tl::unexpected<Error> bad_range(std::string_view range, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, "bad range '" + shown(range) + "' in MASK, " + what);
}

/// `7` or `7-9`, ends included.
Result<CoordinateRange> read_range(std::string_view text, std::string_view index, std::size_t dim) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number<std::size_t>(text.substr(0, dash));
  const auto last = dash == text.npos ? first : parse_number<std::size_t>(text.substr(dash + 1));
  if (!first || !last) return bad_range(text, "expected ranges as in 0-391,5,600-700");
  if (*last < *first) return bad_range(text, "it ends before it begins");
  if (*last >= dim) {
    return bad_range(text, "index '" + shown(index) + "' has " + std::to_string(dim) +
                               " dimensions, counted from 0");
  }
  return CoordinateRange{*first, *last + 1};
}

/// Sorted, and those that touch made one.
std::vector<CoordinateRange> merged(std::vector<CoordinateRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::vector<CoordinateRange> result;
  for (const CoordinateRange& range : ranges) {
    if (!result.empty() && range.begin <= result.back().end) {
      result.back().end = std::max(result.back().end, range.end);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

}  // namespace

Result<std::shared_ptr<Collection>> find_any_collection(CommandContext& context,
                                                        std::string_view name) {
  const Value* const value = context.services.store.keyspace().find(name);
  if (value == nullptr) {
    return fail(ErrorCode::kNotFound, "no such index '" + shown(name) + "', VNEW makes one");
  }
  const auto* const collection = std::get_if<std::shared_ptr<Collection>>(value);
  if (collection == nullptr) return fail(ErrorCode::kWrongType, "the key holds a string");
  return *collection;
}

Result<std::shared_ptr<Collection>> find_collection(CommandContext& context,
                                                    std::string_view name) {
  auto collection = find_any_collection(context, name);
  if (collection && !(*collection)->damage().empty()) {
    return fail(ErrorCode::kDataLoss, (*collection)->damage());
  }
  return collection;
}

Result<std::shared_ptr<Collection>> find_recalling(CommandContext& context, std::string_view name) {
  auto collection = find_collection(context, name);
  if (!collection || (*collection)->spec().primitive->traits.recalls) return collection;
  std::string able;
  for (const Primitive* const primitive : primitives()) {
    if (!primitive->traits.recalls) continue;
    able += (able.empty() ? "" : ", ") + std::string(primitive->name);
  }
  return fail(ErrorCode::kUnsupported,
              "primitive '" + std::string((*collection)->spec().primitive->name) + "' of index '" +
                  shown(name) + "' cannot recall, " +
                  (able.empty() ? "nor can any other of this server" : "those that can: " + able));
}

Status read_vector(std::string_view bytes, std::string_view index, std::span<float> vector) {
  if (bytes.size() != vector.size_bytes()) {
    if (bytes.size() % sizeof(float) != 0) {
      return fail(ErrorCode::kInvalidArgument,
                  "vector has " + std::to_string(bytes.size()) +
                      " bytes, expected packed float32, 4 bytes for each dimension");
    }
    return fail(ErrorCode::kInvalidArgument, "vector has " +
                                                 std::to_string(bytes.size() / sizeof(float)) +
                                                 " dimensions, index '" + shown(index) + "' has " +
                                                 std::to_string(vector.size()));
  }
  std::memcpy(vector.data(), bytes.data(), bytes.size());
  return check_vector(vector);
}

Result<std::vector<OptionText>> read_pairs(Arguments words) {
  if (words.size() % 2 != 0) {
    return fail(ErrorCode::kInvalidArgument, "option '" + shown(words.back()) + "' has no value");
  }
  std::vector<OptionText> pairs;
  pairs.reserve(words.size() / 2);
  for (std::size_t i = 0; i < words.size(); i += 2) pairs.emplace_back(words[i], words[i + 1]);
  return pairs;
}

Result<std::optional<std::string_view>> take_pair(std::vector<OptionText>& pairs,
                                                  std::string_view name) {
  std::optional<std::string_view> value;
  bool is_repeated = false;
  std::erase_if(pairs, [&](const OptionText& pair) {
    if (!equal_ignoring_case(pair.first, name)) return false;
    is_repeated = value.has_value();
    value = pair.second;
    return true;
  });
  if (is_repeated) {
    return fail(ErrorCode::kInvalidArgument, "option " + std::string(name) + " is given twice");
  }
  return value;
}

Result<std::size_t> take_count(std::vector<OptionText>& pairs, std::string_view name,
                               std::size_t minimum, std::size_t maximum, std::size_t fallback) {
  const auto text = take_pair(pairs, name);
  if (!text) return tl::unexpected(text.error());
  return *text ? read_count(**text, name, minimum, maximum) : fallback;
}

Result<std::size_t> read_count(std::string_view text, std::string_view what, std::size_t minimum,
                               std::size_t maximum) {
  const auto count = parse_number<std::size_t>(text);
  if (!count || *count < minimum || *count > maximum) {
    return fail(ErrorCode::kInvalidArgument,
                std::string(what) + " must be an integer in " + std::to_string(minimum) + ".." +
                    std::to_string(maximum) + ", got '" + shown(text) + "'");
  }
  return *count;
}

Result<std::optional<Options>> read_schema(std::span<const OptionSpec> schema,
                                           std::span<const OptionText> pairs) {
  if (pairs.empty() && schema.empty()) return std::nullopt;
  auto options = Options::parse(schema, pairs);
  if (!options) return tl::unexpected(options.error());
  return std::move(*options);
}

Result<std::vector<CoordinateRange>> read_mask(std::string_view text, std::string_view index,
                                               std::size_t dim) {
  std::vector<CoordinateRange> ranges;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto range = read_range(text.substr(0, comma), index, dim);
    if (!range) return tl::unexpected(range.error());
    ranges.push_back(*range);
    // A text may have more than there are coordinates; merged, at most every second begins one.
    if (ranges.size() > dim) ranges = merged(std::move(ranges));
    if (comma == text.size() - 1) return bad_range("", "a range must follow the last comma");
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
  }
  return merged(std::move(ranges));
}

}  // namespace engram
