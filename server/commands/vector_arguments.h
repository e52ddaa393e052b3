// SPDX-License-Identifier: Apache-2.0
// What V* say in words and the requests do not know. Errors are values; handlers write them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/commands/context.h"
#include "server/requests/vector_numbers.h"

namespace engram {

/// Removes the words `flags`, in any letter case, from where the name of an option would stand.
/// Bit i: flags[i] was there.
unsigned take_flags(std::vector<std::string_view>& words, std::span<const std::string_view> flags);

/// Whether one of `words` is that, in any letter case.
bool has_word(Arguments words, std::string_view word);

/// Pairs of an option's name and value. Errors: kInvalidArgument for a name without a value.
Result<std::vector<OptionText>> read_pairs(Arguments words);

/// A vector in the words of a command: packed float32, or VALUES n x1 ... xn.
struct VectorWords {
  std::string_view packed = {};
  Arguments numbers = {};
  bool is_text = false;  ///< `numbers` say it
};

/// Takes the vector at the front of `words`. Errors: kInvalidArgument if there is none, or VALUES
/// is not followed by as many words as it says.
Result<VectorWords> take_vector(Arguments& words);

/// How many vectors there are in `words`, which hold nothing else. Errors: as above.
Result<std::size_t> count_vectors(Arguments words);

/// Calls `add` with the vector, a std::string_view of its bytes or a std::span of its numbers, and
/// returns what that returns. Errors: those of read_numbers().
template <class Add>
Status give_vector(const VectorWords& vector, Add&& add) {
  if (!vector.is_text) return add(vector.packed);
  const auto numbers = read_numbers(vector.numbers);
  if (!numbers) return tl::unexpected(numbers.error());
  return add(std::span<const float>(*numbers));
}

/// Reads `words` as options of `request`. Errors: those of read_pairs() and read_options().
template <class Request>
Status read_option_words(Arguments words, Request& request) {
  auto pairs = read_pairs(words);
  if (!pairs) return tl::unexpected(pairs.error());
  return read_options(std::move(*pairs), request);
}

}  // namespace engram
