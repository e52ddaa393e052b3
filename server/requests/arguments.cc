// SPDX-License-Identifier: Apache-2.0
#include "server/requests/arguments.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// What stands where a number was expected; of a vector that stands there, how long it is.
std::string named(std::string_view got) {
  if (is_printable(got)) return "'" + shown(got) + "'";
  return std::to_string(got.size()) + " bytes that are no text";
}

tl::unexpected<Error> out_of_range(const CountArgument& argument, std::string_view got) {
  return fail(ErrorCode::kInvalidArgument, std::string(argument.name) + " must be an integer in " +
                                               std::to_string(argument.minimum) + ".." +
                                               std::to_string(argument.maximum) + ", got " +
                                               named(got));
}

}  // namespace

Status CountArgument::check(std::size_t count) const {
  if (count >= minimum && count <= maximum) return {};
  return out_of_range(*this, std::to_string(count));
}

Result<std::size_t> CountArgument::read(std::string_view text) const {
  const auto count = parse_number<std::size_t>(text);
  if (!count || !check(*count)) return out_of_range(*this, text);
  return *count;
}

Result<std::optional<std::string_view>> take_option(std::vector<OptionText>& options,
                                                    std::string_view name) {
  std::optional<std::string_view> value;
  bool is_repeated = false;
  std::erase_if(options, [&](const OptionText& option) {
    if (!equal_ignoring_case(option.first, name)) return false;
    is_repeated = value.has_value();
    value = option.second;
    return true;
  });
  if (is_repeated) {
    return fail(ErrorCode::kInvalidArgument, "option " + std::string(name) + " is given twice");
  }
  return value;
}

Result<std::size_t> take_count(std::vector<OptionText>& options, const CountArgument& argument,
                               std::size_t fallback) {
  const auto text = take_option(options, argument.name);
  if (!text) return tl::unexpected(text.error());
  return *text ? argument.read(**text) : fallback;
}

bool is_among(std::span<const OptionSpec> schema, std::string_view name) {
  return std::any_of(schema.begin(), schema.end(), [name](const OptionSpec& known) {
    return equal_ignoring_case(known.name, name);
  });
}

Status check_names(std::span<const OptionSpec> schema, std::span<const OptionText> options,
                   std::span<const std::string_view> others) {
  for (const auto& [name, value] : options) {
    if (is_among(schema, name) || others.empty()) continue;
    std::string names;
    const auto add = [&names](std::string_view known) {
      names.append(names.empty() ? "" : ", ").append(known);
    };
    for (const OptionSpec& known : schema) add(known.name);
    for (const std::string_view known : others) add(known);
    return fail(ErrorCode::kInvalidArgument,
                "unknown option '" + shown(name) + "', known options are " + names);
  }
  return {};
}

Result<std::optional<Options>> read_schema(std::span<const OptionSpec> schema,
                                           std::span<const OptionText> options,
                                           std::span<const std::string_view> others) {
  ENGRAM_TRY(check_names(schema, options, others));
  if (options.empty() && schema.empty()) return std::nullopt;
  auto parsed = Options::parse(schema, options);
  if (!parsed) return tl::unexpected(parsed.error());
  return std::move(*parsed);
}

}  // namespace engram
