// SPDX-License-Identifier: Apache-2.0
#include "server/commands/recall_reply.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "server/durability/change.h"

namespace engram {
namespace {

/// Beside a key of the support.
constexpr std::size_t kSupportFraming = 48;

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

/// What makes one recall of those of parts.
void write_mean(ReplyWriter& writer, const RecallMean& mean) {
  writer.simple("mean");
  writer.bulk(packed(mean.vector));
  writer.simple("mass");
  writer.number(mean.log_mass);
  writer.simple("items");
  writer.integer(static_cast<std::int64_t>(mean.items));
}

}  // namespace

void write_recall(ReplyWriter& writer, const RecallAnswer& answer, bool with_trace) {
  std::size_t bytes = answer.recall.state.size() * sizeof(float);
  for (const std::string_view key : answer.support) bytes += key.size() + kSupportFraming;
  writer.expect(bytes);
  constexpr std::size_t kFields = 18;
  constexpr std::size_t kMeanFields = 3;
  writer.map(kFields + (answer.recall.mean ? kMeanFields : 0));
  writer.simple("state");
  writer.bulk(packed(answer.recall.state));
  write_items(writer, answer);
  write_energies(writer, answer.recall.energies, with_trace);
  write_course(writer, answer.recall);
  if (answer.recall.mean) write_mean(writer, *answer.recall.mean);
}

}  // namespace engram
