// SPDX-License-Identifier: Apache-2.0
// How the arguments of V* are read. Every function answers errors as values; handlers write them.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/commands/context.h"
#include "server/engine/collection.h"

namespace engram {

/// The collection of that name. Errors: kNotFound, kWrongType for a string, kDataLoss if it is
/// damaged.
Result<std::shared_ptr<Collection>> find_collection(CommandContext& context, std::string_view name);
/// The same, for one who does not look inside: a damaged one will do.
Result<std::shared_ptr<Collection>> find_any_collection(CommandContext& context,
                                                        std::string_view name);

/// Reads packed little-endian float32 into `vector` ([dim]) and checks it. `index` names the
/// collection in errors. Errors: kInvalidArgument for a wrong length, NaN, infinity or a norm that
/// is too large. packed() (change.h) is its opposite.
Status read_vector(std::string_view bytes, std::string_view index, std::span<float> vector);

/// Pairs of a name and a value. Errors: kInvalidArgument for a name without a value.
Result<std::vector<OptionText>> read_pairs(Arguments words);

/// Removes the pair called `name` (any letter case) from `pairs` and returns its value, or an empty
/// view. Errors: kInvalidArgument if it is there twice.
Result<std::string_view> take_pair(std::vector<OptionText>& pairs, std::string_view name);

/// A whole number in [minimum, maximum]; `what` names it in the error.
Result<std::size_t> read_count(std::string_view text, std::string_view what, std::size_t minimum,
                               std::size_t maximum);

}  // namespace engram
