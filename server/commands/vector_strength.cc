// SPDX-License-Identifier: Apache-2.0
// VTOUCH and VSTRENGTH.
#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

/// How many of `words` are keys: what stands before the first GAIN or AT that only options follow.
/// The first word is a key whatever it says.
std::size_t count_keys(Arguments words) {
  constexpr std::array<std::string_view, 2> kNames = {"GAIN", "AT"};
  std::size_t keys = words.size();
  while (keys >= 3) {
    const std::string_view name = words[keys - 2];
    const bool is_option = std::any_of(kNames.begin(), kNames.end(), [&](std::string_view known) {
      return equal_ignoring_case(known, name);
    });
    if (!is_option) break;
    keys -= 2;
  }
  return keys;
}

/// index key [key ...] [GAIN gain] [AT milliseconds]
Result<std::vector<std::optional<double>>> read_and_touch(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  TouchRequest request = {.index = std::move(*index)};
  const Arguments words = context.argv.subspan(2);
  const std::size_t keys = count_keys(words);
  request.keys.assign(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(keys));
  ENGRAM_TRY(read_option_words(words.subspan(keys), request));
  return touch(context.services.store, request);
}

/// index key [AT milliseconds]
Result<std::optional<StrengthAnswer>> read_strength_of(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1], Missing::kGone);
  if (!index) return tl::unexpected(std::move(index.error()));
  StrengthRequest request = {.index = std::move(*index), .key = context.argv[2]};
  ENGRAM_TRY(read_option_words(context.argv.subspan(3), request));
  return strength_of(context.services.store, request);
}

}  // namespace

void vtouch(CommandContext& context) {
  const auto strengths = read_and_touch(context);
  if (!strengths) return write_error(context.reply, strengths.error());
  context.reply.array(strengths->size());
  for (const auto& strength : *strengths) {
    strength ? context.reply.number(*strength) : context.reply.null();
  }
}

void vstrength(CommandContext& context) {
  const auto answer = read_strength_of(context);
  if (!answer) return write_error(context.reply, answer.error());
  if (!*answer) return context.reply.null();
  const auto half_life = (*answer)->half_life_ms;
  const auto stability = (*answer)->stability_ms;
  context.reply.map(4 + (half_life ? 1 : 0) + (stability ? 1 : 0));
  context.reply.simple("strength");
  context.reply.number((*answer)->strength);
  context.reply.simple("bias");
  context.reply.number((*answer)->bias);
  context.reply.simple("at");
  (*answer)->at_ms ? context.reply.integer(*(*answer)->at_ms) : context.reply.null();
  context.reply.simple("pinned");
  context.reply.boolean((*answer)->is_pinned);
  if (half_life) {
    context.reply.simple("half-life-ms");
    context.reply.integer(*half_life);
  }
  if (stability) {
    context.reply.simple("stability-ms");
    context.reply.number(*stability);
  }
}

}  // namespace engram
