// SPDX-License-Identifier: Apache-2.0
// VTUNE and VDIAG: surveys of an index, to find the numbers that it recalls by or to describe it.
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_replies.h"
#include "server/engine/persistence.h"

namespace engram {
namespace {

/// A survey looks at each of its sample twice, perhaps by a scan each time, and no client can stop
/// it: so many are far more than quantiles need.
constexpr std::size_t kMaxSample = 4096;

/// A survey that somebody waits for.
struct Pending {
  std::shared_ptr<Collection> collection;
  SurveyParams params;
  std::optional<Options> options;
  Deferred reply;
};

/// index [SAMPLE n] [SEED s] [option value ...]. Answers errors itself; null then.
std::shared_ptr<Pending> read_survey(CommandContext& context, bool tunes) {
  const auto read = [&]() -> Result<std::shared_ptr<Pending>> {
    auto collection = find_recalling(context, context.argv[1]);
    if (!collection) return tl::unexpected(collection.error());
    auto pairs = read_pairs(context.argv.subspan(2));
    if (!pairs) return tl::unexpected(pairs.error());
    SurveyParams params{.tunes = tunes};
    const auto sample = take_count(*pairs, "SAMPLE", 2, kMaxSample, params.sample);
    if (!sample) return tl::unexpected(sample.error());
    params.sample = *sample;
    constexpr auto kLastSeed = std::numeric_limits<std::uint64_t>::max();
    const auto seed = take_count(*pairs, "SEED", 0, kLastSeed, params.seed);
    if (!seed) return tl::unexpected(seed.error());
    params.seed = *seed;
    auto options = read_schema((*collection)->spec().primitive->recall_options, *pairs);
    if (!options) return tl::unexpected(options.error());
    return std::make_shared<Pending>(
        Pending{std::move(*collection), params, std::move(*options), context.defer()});
  };
  auto pending = read();
  if (!pending) {
    write_error(context.reply, pending.error());
    return nullptr;
  }
  if ((*pending)->options) (*pending)->params.options = &*(*pending)->options;
  return std::move(*pending);
}

void answer_error(Pending& pending, const Error& error) {
  pending.reply.reply([&](ReplyWriter& writer) { write_error(writer, error); });
}

void answer_tuning(Pending& pending, const Tuning& tuning) {
  pending.reply.reply([&](ReplyWriter& writer) {
    writer.map(tuning.size());
    for (const auto& [name, value] : tuning) {
      writer.simple(name);
      writer.number(value);
    }
  });
}

/// The numbers are known, and become a change only now: the answer waits for the journal as that of
/// a command does which changes something at once.
void adopt(const std::shared_ptr<Pending>& pending, const Tuning& tuning,
           Persistence* persistence) {
  const Status begun =
      pending->collection->tune(tuning, [pending, tuning] { answer_tuning(*pending, tuning); });
  if (!begun) return answer_error(*pending, begun.error());
  if (persistence == nullptr || !persistence->holds_answers()) return;
  if (const Lsn lsn = persistence->seal(); lsn != 0) pending->reply.hold(lsn);
}

}  // namespace

void vtune(CommandContext& context) {
  const auto pending = read_survey(context, true);
  if (pending == nullptr) return;
  const auto tuning = std::make_shared<Result<Tuning>>();
  pending->collection->survey(
      pending->params,
      [tuning](const ReadView&, const Survey& survey) { *tuning = survey.tuning(); },
      [pending, tuning, persistence = context.services.store.persistence()](const Status& surveyed) {
        if (!surveyed) return answer_error(*pending, surveyed.error());
        if (!*tuning) return answer_error(*pending, tuning->error());
        adopt(pending, **tuning, persistence);
      });
}

void vdiag(CommandContext& context) {
  const auto pending = read_survey(context, false);
  if (pending == nullptr) return;
  const auto map = std::make_shared<InfoMap>();
  pending->collection->survey(
      pending->params,
      [map](const ReadView&, const Survey& survey) {
        for (Fact& fact : survey.diagnosis()) map->add(std::move(fact.name), std::move(fact.value));
      },
      [pending, map](const Status& surveyed) {
        if (!surveyed) return answer_error(*pending, surveyed.error());
        pending->reply.reply([&](ReplyWriter& writer) { map->write(writer); });
      });
}

}  // namespace engram
