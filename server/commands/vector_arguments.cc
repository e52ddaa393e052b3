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

Result<std::shared_ptr<Collection>> find_any_collection(CommandContext& context,
                                                        std::string_view name) {
  const Value* const value = context.services.keyspace.find(name);
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

Result<std::string_view> take_pair(std::vector<OptionText>& pairs, std::string_view name) {
  std::string_view value;
  bool is_given = false;
  bool is_repeated = false;
  std::erase_if(pairs, [&](const OptionText& pair) {
    if (!equal_ignoring_case(pair.first, name)) return false;
    is_repeated = is_given;
    is_given = true;
    value = pair.second;
    return true;
  });
  if (is_repeated) {
    return fail(ErrorCode::kInvalidArgument, "option " + std::string(name) + " is given twice");
  }
  return value;
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

}  // namespace engram
