// SPDX-License-Identifier: Apache-2.0
// What V* say in words and the requests do not know. Errors are values; handlers write them.
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/commands/context.h"

namespace engram {

/// Removes the words `flags`, in any letter case, from where the name of an option would stand.
/// Bit i: flags[i] was there.
unsigned take_flags(std::vector<std::string_view>& words, std::span<const std::string_view> flags);

/// Whether one of `words` is that, in any letter case.
bool has_word(Arguments words, std::string_view word);

/// Pairs of an option's name and value. Errors: kInvalidArgument for a name without a value.
Result<std::vector<OptionText>> read_pairs(Arguments words);

/// Reads `words` as options of `request`. Errors: those of read_pairs() and read_options().
template <class Request>
Status read_option_words(Arguments words, Request& request) {
  auto pairs = read_pairs(words);
  if (!pairs) return tl::unexpected(pairs.error());
  return read_options(std::move(*pairs), request);
}

}  // namespace engram
