// SPDX-License-Identifier: Apache-2.0
// How the arguments of V* are read. Every function answers errors as values; handlers write them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
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
/// As find_collection(), for one whose primitive has Traits::recalls. Errors: kUnsupported, naming
/// those that do.
Result<std::shared_ptr<Collection>> find_recalling(CommandContext& context, std::string_view name);

/// Reads packed little-endian float32 into `vector` ([dim]) and checks it. `index` names the
/// collection in errors. Errors: kInvalidArgument for a wrong length, NaN, infinity or a norm that
/// is too large. packed() (change.h) is its opposite.
Status read_vector(std::string_view bytes, std::string_view index, std::span<float> vector);

/// Pairs of a name and a value. Errors: kInvalidArgument for a name without a value.
Result<std::vector<OptionText>> read_pairs(Arguments words);

/// Removes the pair called `name` (any letter case) from `pairs` and returns its value, or nothing.
/// Errors: kInvalidArgument if it is there twice.
Result<std::optional<std::string_view>> take_pair(std::vector<OptionText>& pairs,
                                                  std::string_view name);

/// Takes the pair called `name`, a whole number in [minimum, maximum], or `fallback`.
Result<std::size_t> take_count(std::vector<OptionText>& pairs, std::string_view name,
                               std::size_t minimum, std::size_t maximum, std::size_t fallback);

/// A whole number in [minimum, maximum]; `what` names it in the error.
Result<std::size_t> read_count(std::string_view text, std::string_view what, std::size_t minimum,
                               std::size_t maximum);

/// What is left of `pairs` as options of `schema`; nothing if neither has any. Errors: those of
/// Options::parse.
Result<std::optional<Options>> read_schema(std::span<const OptionSpec> schema,
                                           std::span<const OptionText> pairs);

/// The visible coordinates of a cue as Cue has them, from inclusive ranges in any order,
/// as in `0-391,5,600-700`; empty if `text` is. `index` names the collection, which has `dim`
/// dimensions, in errors. Errors: kInvalidArgument.
Result<std::vector<CoordinateRange>> read_mask(std::string_view text, std::string_view index,
                                               std::size_t dim);

}  // namespace engram
