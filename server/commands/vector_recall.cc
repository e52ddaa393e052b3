// SPDX-License-Identifier: Apache-2.0
// VRECALL and VENERGY.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/recall_reply.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/durability/change.h"
#include "server/requests/recall.h"

namespace engram {
namespace {

/// VEC vector | KEY key, which it takes from `words`.
Status take_cue(Arguments& words, RecallRequest& request) {
  const std::string_view kind = words[0];
  words = words.subspan(1);
  if (equal_ignoring_case(kind, "VEC")) {
    const auto cue = take_vector(words);
    if (!cue) return tl::unexpected(cue.error());
    return give_vector(*cue, [&](auto vector) { return request.cue.add(request.index, vector); });
  }
  if (equal_ignoring_case(kind, "KEY")) {
    const std::string_view key = words[0];
    words = words.subspan(1);
    return read_stored_cue(key, request);
  }
  return fail(ErrorCode::kInvalidArgument,
              "expected VEC vector or KEY key after the index, got '" + shown(kind) + "'");
}

constexpr std::string_view kFlags[] = {"WITHTRACE", "WITHRAW", "WITHSTRENGTH", "WITHMEAN"};

/// index (VEC vector | KEY key) [MASK ranges] [TOP k] [AT ms] [TOUCH gain] [WITHTRACE] [WITHRAW]
/// [WITHSTRENGTH] [WITHMEAN] [option value ...]
Result<RecallRequest> read_vrecall(CommandContext& context, bool& with_trace) {
  auto index = find_recalling_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  RecallRequest request = {.index = std::move(*index)};
  Arguments rest = context.argv.subspan(2);
  ENGRAM_TRY(take_cue(rest, request));
  std::vector<std::string_view> words(rest.begin(), rest.end());
  const unsigned flags = take_flags(words, kFlags);
  with_trace = (flags & 1U) != 0;
  request.strength.fields = {.raw = (flags & 2U) != 0, .strength = (flags & 4U) != 0};
  request.with_mean = (flags & 8U) != 0;
  ENGRAM_TRY(read_option_words(words, request));
  return request;
}

/// index vector [AT ms] [option value ...]
Result<EnergyRequest> read_venergy(CommandContext& context) {
  auto index = find_recalling_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  EnergyRequest request = {.index = std::move(*index)};
  Arguments rest = context.argv.subspan(2);
  const auto state = take_vector(rest);
  if (!state) return tl::unexpected(state.error());
  ENGRAM_TRY(
      give_vector(*state, [&](auto vector) { return request.state.add(request.index, vector); }));
  ENGRAM_TRY(read_option_words(rest, request));
  return request;
}

}  // namespace

void vrecall(CommandContext& context) {
  bool with_trace = false;
  auto request = read_vrecall(context, with_trace);
  if (!request) return write_error(context.reply, request.error());
  const std::size_t expected = expected_bytes(*request);
  start(context.services.store, std::move(*request),
        respond<RecallAnswer>(context, expected,
                              [with_trace](ReplyWriter& writer, const RecallAnswer& answer) {
                                write_recall(writer, answer, with_trace);
                              }));
}

void venergy(CommandContext& context) {
  auto request = read_venergy(context);
  if (!request) return write_error(context.reply, request.error());
  const std::size_t expected = expected_bytes(*request);
  start(context.services.store, std::move(*request),
        respond<double>(context, expected,
                        [](ReplyWriter& writer, double energy) { writer.number(energy); }));
}

}  // namespace engram
