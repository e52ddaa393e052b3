// SPDX-License-Identifier: Apache-2.0
#include "core/options.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/assert.h"
#include "core/text.h"

namespace engram {
namespace {

template <class Names>
std::string join(const Names& names, std::string_view separator) {
  std::string joined;
  for (const std::string_view name : names) {
    if (!joined.empty()) joined += separator;
    joined += name;
  }
  return joined;
}

std::string known_names(std::span<const OptionSpec> schema) {
  if (schema.empty()) return "it takes none";
  std::vector<std::string_view> names;
  for (const OptionSpec& spec : schema) names.push_back(spec.name);
  return "known options are " + join(names, ", ");
}

std::optional<double> parse_value(const OptionSpec& spec, std::string_view text) {
  if (spec.type == OptionType::kReal) return parse_number<double>(text);
  const auto integer = parse_number<std::int64_t>(text);
  if (!integer) return std::nullopt;
  return static_cast<double>(*integer);
}

tl::unexpected<Error> bad_value(const OptionSpec& spec, std::string_view text) {
  const std::string_view kind = spec.type == OptionType::kInteger ? "an integer in "
                                : spec.type == OptionType::kReal  ? "a number in "
                                                                  : "one of ";
  return fail(ErrorCode::kInvalidArgument, "option " + std::string(spec.name) + " must be " +
                                               std::string(kind) + spec.range() + ", got '" +
                                               std::string(text.substr(0, 64)) + "'");
}

}  // namespace

std::string_view OptionSpec::type_name() const noexcept {
  switch (type) {
    case OptionType::kInteger:
      return "integer";
    case OptionType::kReal:
      return "real";
    case OptionType::kChoice:
      return "choice";
  }
  return "";
}

std::string OptionSpec::range() const {
  if (type == OptionType::kChoice) return join(choices, "|");
  return number_text(minimum) + ".." + number_text(maximum);
}

std::string OptionSpec::default_text() const {
  return type == OptionType::kChoice ? std::string(default_choice) : number_text(default_number);
}

Options::Options(std::span<const OptionSpec> schema) : schema_(schema) {
  values_.reserve(schema.size());
  for (const OptionSpec& spec : schema) {
    values_.push_back({.number = spec.default_number, .choice = spec.default_choice});
  }
}

Result<Options> Options::parse(std::span<const OptionSpec> schema,
                               std::span<const OptionText> given) {
  Options options(schema);
  for (const OptionText& option : given) ENGRAM_TRY(options.set(option));
  return options;
}

Status Options::set(const OptionText& option) {
  const std::string_view name = option.first;
  const std::string_view text = option.second;
  const auto spec = std::find_if(schema_.begin(), schema_.end(), [&](const OptionSpec& candidate) {
    return equal_ignoring_case(candidate.name, name);
  });
  if (spec == schema_.end()) {
    return fail(ErrorCode::kInvalidArgument, "unknown option '" + std::string(name.substr(0, 64)) +
                                                 "', " + known_names(schema_));
  }
  Value& value = values_[static_cast<std::size_t>(spec - schema_.begin())];
  if (value.given) {
    return fail(ErrorCode::kInvalidArgument,
                "option " + std::string(spec->name) + " is given twice");
  }
  value.given = true;
  if (spec->type == OptionType::kChoice) {
    const auto choice =
        std::find_if(spec->choices.begin(), spec->choices.end(),
                     [&](std::string_view known) { return equal_ignoring_case(known, text); });
    if (choice == spec->choices.end()) return bad_value(*spec, text);
    value.choice = *choice;
    return {};
  }
  const std::optional<double> number = parse_value(*spec, text);
  if (!number || !(*number >= spec->minimum && *number <= spec->maximum)) {
    return bad_value(*spec, text);
  }
  value.number = *number;
  return {};
}

const Options::Value& Options::at(std::string_view name, OptionType type) const {
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (schema_[i].name == name && schema_[i].type == type) return values_[i];
  }
  detail::assertion_failed("the schema declares the option with that type", __FILE__, __LINE__);
}

std::int64_t Options::integer(std::string_view name) const {
  return std::llround(at(name, OptionType::kInteger).number);
}

double Options::real(std::string_view name) const {
  return at(name, OptionType::kReal).number;
}

std::string_view Options::choice(std::string_view name) const {
  return at(name, OptionType::kChoice).choice;
}

bool Options::given(std::string_view name) const {
  for (std::size_t i = 0; i < schema_.size(); ++i) {
    if (schema_[i].name == name) return values_[i].given;
  }
  return false;
}

std::string Options::text(std::size_t i) const {
  return schema_[i].type == OptionType::kChoice ? std::string(values_[i].choice)
                                                : number_text(values_[i].number);
}

}  // namespace engram
