// SPDX-License-Identifier: Apache-2.0
// What requests carry whichever door they come through: whole numbers with bounds, and options by
// name. A door that has numbers checks them; one that has text reads it. The errors are the same.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"

namespace engram {

/// A whole number that a request carries: its name in errors and its bounds, inclusive.
struct CountArgument {
  std::string_view name;
  std::size_t minimum;
  std::size_t maximum;

  /// Errors: kInvalidArgument, saying the bounds.
  [[nodiscard]] Status check(std::size_t count) const;
  /// Errors: as check(), and for what is no whole number.
  [[nodiscard]] Result<std::size_t> read(std::string_view text) const;
};

/// Removes the option called `name` (any letter case) from `options` and returns its value, or
/// nothing. Errors: kInvalidArgument if it is there twice.
Result<std::optional<std::string_view>> take_option(std::vector<OptionText>& options,
                                                    std::string_view name);

/// Takes the option that `argument` names, or `fallback`.
Result<std::size_t> take_count(std::vector<OptionText>& options, const CountArgument& argument,
                               std::size_t fallback);

/// Whether an option of that name, in any case, is in `schema`.
bool is_among(std::span<const OptionSpec> schema, std::string_view name);

/// Errors: kInvalidArgument, with the names that are known, for one that is not in `schema`.
/// `others` are known beside it; without any, Options::parse says the same.
Status check_names(std::span<const OptionSpec> schema, std::span<const OptionText> options,
                   std::span<const std::string_view> others);

/// What is left of `options`, parsed; nothing if there are none and none are known. Errors: those
/// of check_names() and Options::parse.
Result<std::optional<Options>> read_schema(std::span<const OptionSpec> schema,
                                           std::span<const OptionText> options,
                                           std::span<const std::string_view> others = {});

}  // namespace engram
