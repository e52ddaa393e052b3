// SPDX-License-Identifier: Apache-2.0
// Options that a primitive declares once; from the declaration come the parsing of VNEW and
// VSEARCH, their error messages, and the help that VPRIMITIVES prints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace engram {

enum class OptionType : std::uint8_t { kInteger, kReal, kChoice };

/// One option. Build with the functions below; lives as long as the program.
struct OptionSpec {
  std::string_view name;  ///< upper case, as written in commands
  OptionType type;
  double default_number = 0;  ///< integers up to 2^53 are exact
  double minimum = 0;         ///< inclusive
  double maximum = 0;         ///< inclusive
  std::string_view default_choice = {};
  std::span<const std::string_view> choices = {};
  std::string_view help;  ///< one line, no full stop

  /// "integer", "real" or "choice".
  std::string_view type_name() const noexcept;
  /// "2..512", or "a|b|c".
  std::string range() const;
  std::string default_text() const;
};

constexpr OptionSpec integer_option(std::string_view name, double default_value, double minimum,
                                    double maximum, std::string_view help) {
  return {.name = name,
          .type = OptionType::kInteger,
          .default_number = default_value,
          .minimum = minimum,
          .maximum = maximum,
          .help = help};
}

constexpr OptionSpec real_option(std::string_view name, double default_value, double minimum,
                                 double maximum, std::string_view help) {
  return {.name = name,
          .type = OptionType::kReal,
          .default_number = default_value,
          .minimum = minimum,
          .maximum = maximum,
          .help = help};
}

constexpr OptionSpec choice_option(std::string_view name, std::string_view default_value,
                                   std::span<const std::string_view> choices,
                                   std::string_view help) {
  return {.name = name,
          .type = OptionType::kChoice,
          .default_choice = default_value,
          .choices = choices,
          .help = help};
}

/// A name and a value as they came in a command.
using OptionText = std::pair<std::string_view, std::string_view>;

/// The values of a schema's options, defaults filled in.
class Options {
 public:
  /// Every option at its default.
  explicit Options(std::span<const OptionSpec> schema);

  /// Errors: kInvalidArgument for an unknown name (listing the known ones), one given twice, a
  /// value of the wrong type or out of range (saying the range).
  static Result<Options> parse(std::span<const OptionSpec> schema,
                               std::span<const OptionText> given);

  /// The value of an option that the schema declares with that type.
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  std::string_view choice(std::string_view name) const;

  /// Whether the command named it.
  bool given(std::string_view name) const;

  std::span<const OptionSpec> schema() const noexcept { return schema_; }
  /// The value of schema()[i] in the form that parse() reads.
  std::string text(std::size_t i) const;

 private:
  struct Value {
    double number = 0;
    std::string_view choice;  // points into the schema
    bool given = false;
  };

  Status set(const OptionText& option);
  const Value& at(std::string_view name, OptionType type) const;

  std::span<const OptionSpec> schema_;
  std::vector<Value> values_;  // in the schema's order
};

}  // namespace engram
