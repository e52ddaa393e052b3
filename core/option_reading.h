// SPDX-License-Identifier: Apache-2.0
// Options over settings: what a command gave replaces what was there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "core/options.h"
#include "core/recall.h"

namespace engram {

inline void read_real(const Options& options, std::string_view name, double& value) {
  if (options.given(name)) value = options.real(name);
}

inline void read_count(const Options& options, std::string_view name, std::size_t& value) {
  if (options.given(name)) value = static_cast<std::size_t>(options.integer(name));
}

/// names: the choices in the order of the enumeration.
template <class Enum, std::size_t kSize>
void read_choice(const Options& options, std::string_view name,
                 const std::string_view (&names)[kSize], Enum& value) {
  if (!options.given(name)) return;
  const auto found = std::find(std::begin(names), std::end(names), options.choice(name));
  value = static_cast<Enum>(found - std::begin(names));
}

/// The option STEPS of a recall, or what the index was made with.
inline std::size_t steps_of(const RecallParams& params, std::size_t steps) {
  if (params.options != nullptr) read_count(*params.options, "STEPS", steps);
  return steps;
}

}  // namespace engram
