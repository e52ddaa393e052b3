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
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/durability/change.h"
#include "server/requests/recall.h"

namespace engram {
namespace {

/// Beside a key of the support.
constexpr std::size_t kSupportFraming = 48;

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

constexpr std::string_view kFlags[] = {"WITHTRACE", "WITHRAW", "WITHSTRENGTH"};

/// index (VEC vector | KEY key) [MASK ranges] [TOP k] [AT ms] [TOUCH gain] [WITHTRACE] [WITHRAW]
/// [WITHSTRENGTH] [option value ...]
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

void write_key(ReplyWriter& writer, const std::optional<std::string_view>& key) {
  key ? writer.bulk(*key) : writer.null();
}

void write_weight(ReplyWriter& writer, const std::optional<Share>& share) {
  writer.number(share ? share->weight : 0.0);
}

/// The items that hold the state, and how much of it.
void write_items(ReplyWriter& writer, const RecallAnswer& answer) {
  const Recall& recall = answer.recall;
  writer.simple("attractor");
  write_key(writer, answer.attractor);
  writer.simple("weight");
  write_weight(writer, recall.attractor);
  writer.simple("distance");
  recall.attractor ? writer.number(recall.distance) : writer.null();
  writer.simple("onestep");
  write_key(writer, answer.onestep);
  writer.simple("posterior");
  write_weight(writer, recall.onestep);
  writer.simple("entropy");
  writer.number(recall.entropy);
  writer.simple("kind");
  writer.bulk(kRecallKindNames[static_cast<std::size_t>(recall.kind)]);
  writer.simple("outside");
  writer.boolean(recall.outside);
  writer.simple("neff");
  writer.number(recall.effective_count);
  writer.simple("support");
  const std::size_t columns =
      2 + std::size_t{!answer.raw.empty()} + std::size_t{!answer.strengths.empty()};
  writer.array(columns * recall.support.size());
  for (std::size_t i = 0; i < recall.support.size(); ++i) {
    writer.bulk(answer.support[i]);
    writer.number(recall.support[i].weight);
    if (!answer.raw.empty()) writer.number(answer.raw[i]);
    if (!answer.strengths.empty()) writer.number(answer.strengths[i]);
  }
}

/// All energies, or those of the cue and of the state.
void write_energies(ReplyWriter& writer, std::span<const double> energies, bool all) {
  writer.simple("energy");
  const std::size_t step = all || energies.size() < 2 ? 1 : energies.size() - 1;
  writer.array(all ? energies.size() : std::min<std::size_t>(energies.size(), 2));
  for (std::size_t i = 0; i < energies.size(); i += step) writer.number(energies[i]);
}

/// How the state was come by, and how far it is to be trusted.
void write_course(ReplyWriter& writer, const Recall& recall) {
  writer.simple("steps");
  writer.integer(static_cast<std::int64_t>(recall.steps));
  writer.simple("converged");
  writer.boolean(recall.converged);
  writer.simple("novel");
  recall.novel ? writer.boolean(*recall.novel) : writer.null();
  writer.simple("trunc");
  writer.number(recall.truncated);
  writer.simple("cert");
  writer.bulk(recall.exact ? "exact" : "approx");
  writer.simple("beta");
  writer.number(recall.beta);
}

void write_recall(ReplyWriter& writer, const RecallAnswer& answer, bool with_trace) {
  std::size_t bytes = answer.recall.state.size() * sizeof(float);
  for (const std::string_view key : answer.support) bytes += key.size() + kSupportFraming;
  writer.expect(bytes);
  constexpr std::size_t kFields = 18;
  writer.map(kFields);
  writer.simple("state");
  writer.bulk(packed(answer.recall.state));
  write_items(writer, answer);
  write_energies(writer, answer.recall.energies, with_trace);
  write_course(writer, answer.recall);
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
