// SPDX-License-Identifier: Apache-2.0
// VRECALL and VENERGY: what the memory makes of a cue, and how well a state fits it. As for a
// search, a worker computes and renders the reply.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_replies.h"

namespace engram {
namespace {

/// A cue, or a state, on its way through the workers.
struct Question {
  std::shared_ptr<Collection> collection;
  std::vector<float> vector;
  std::optional<std::vector<CoordinateRange>> visible;
  std::optional<Options> options;
  std::size_t top = 10;
  bool with_trace = false;

  [[nodiscard]] RecallParams params(const SlotSet* items) const {
    return {.options = options ? &*options : nullptr, .top = top, .items = items};
  }
};

/// VEC vector | KEY key
Status read_cue(CommandContext& context, Question& question) {
  const std::string_view kind = context.argv[2];
  const std::string_view value = context.argv[3];
  if (equal_ignoring_case(kind, "VEC")) {
    question.vector.resize(question.collection->spec().dim);
    return read_vector(value, context.argv[1], question.vector);
  }
  if (!equal_ignoring_case(kind, "KEY")) {
    return fail(ErrorCode::kInvalidArgument,
                "expected VEC vector or KEY key after the index, got '" + shown(kind) + "'");
  }
  auto vector = question.collection->get(value);
  if (!vector) {
    return fail(ErrorCode::kNotFound, "index '" + shown(context.argv[1]) + "' has no key '" +
                                          shown(value) + "' to recall by");
  }
  question.vector = std::move(*vector);
  return {};
}

/// Takes the word WITHTRACE from where the name of an option would stand.
bool take_with_trace(std::vector<std::string_view>& words) {
  for (std::size_t i = 0; i < words.size(); i += 2) {
    if (!equal_ignoring_case(words[i], "WITHTRACE")) continue;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

/// A mask that hides nothing is none.
Status read_visible(std::vector<OptionText>& pairs, std::string_view index, Question& question) {
  const auto text = take_pair(pairs, "MASK");
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  const std::size_t dim = question.collection->spec().dim;
  auto ranges = read_mask(**text, index, dim);
  if (!ranges) return tl::unexpected(ranges.error());
  const bool hides_nothing =
      ranges->size() == 1 && ranges->front().begin == 0 && ranges->front().end == dim;
  if (!hides_nothing) question.visible = std::move(*ranges);
  return {};
}

Status read_recall_options(std::span<const OptionText> pairs, Question& question) {
  auto options = read_schema(question.collection->spec().primitive->recall_options, pairs);
  if (!options) return tl::unexpected(options.error());
  question.options = std::move(*options);
  return {};
}

/// index (VEC vector | KEY key) [MASK ranges] [TOP k] [WITHTRACE] [option value ...]
Result<Question> read_vrecall(CommandContext& context) {
  Question question;
  auto collection = find_recalling(context, context.argv[1]);
  if (!collection) return tl::unexpected(collection.error());
  question.collection = std::move(*collection);
  ENGRAM_TRY(read_cue(context, question));
  std::vector<std::string_view> words(context.argv.begin() + 4, context.argv.end());
  question.with_trace = take_with_trace(words);
  auto pairs = read_pairs(words);
  if (!pairs) return tl::unexpected(pairs.error());
  ENGRAM_TRY(read_visible(*pairs, context.argv[1], question));
  const auto top = take_count(*pairs, "TOP", 0, kMaxSlots, question.top);
  if (!top) return tl::unexpected(top.error());
  question.top = *top;
  ENGRAM_TRY(check_answers(std::min(question.top, question.collection->size())));
  ENGRAM_TRY(read_recall_options(*pairs, question));
  return question;
}

/// index vector [option value ...]
Result<Question> read_venergy(CommandContext& context) {
  Question question;
  auto collection = find_recalling(context, context.argv[1]);
  if (!collection) return tl::unexpected(collection.error());
  question.collection = std::move(*collection);
  question.vector.resize(question.collection->spec().dim);
  ENGRAM_TRY(read_vector(context.argv[2], context.argv[1], question.vector));
  const auto pairs = read_pairs(context.argv.subspan(3));
  if (!pairs) return tl::unexpected(pairs.error());
  ENGRAM_TRY(read_recall_options(*pairs, question));
  return question;
}

void write_key(ReplyWriter& writer, const ReadView& view, const std::optional<Share>& share) {
  if (!share) return writer.null();
  writer.bulk(view.key_of(share->slot));
}

void write_weight(ReplyWriter& writer, const std::optional<Share>& share) {
  writer.number(share ? share->weight : 0.0);
}

/// The items that hold the state, and how much of it.
void write_items(ReplyWriter& writer, const ReadView& view, const Recall& recall) {
  writer.simple("attractor");
  write_key(writer, view, recall.attractor);
  writer.simple("weight");
  write_weight(writer, recall.attractor);
  writer.simple("distance");
  recall.attractor ? writer.number(recall.distance) : writer.null();
  writer.simple("onestep");
  write_key(writer, view, recall.onestep);
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
  writer.array(2 * recall.support.size());
  for (const Share& share : recall.support) {
    writer.bulk(view.key_of(share.slot));
    writer.number(share.weight);
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

void write_recall(ReplyWriter& writer, const ReadView& view, const Question& question,
                  const Recall& recall) {
  constexpr std::size_t kFields = 18;
  writer.map(kFields);
  writer.simple("state");
  writer.bulk(packed(recall.state));
  write_items(writer, view, recall);
  write_energies(writer, recall.energies, question.with_trace);
  write_course(writer, recall);
}

/// On a worker.
void answer_recall(const ReadView& view, const Question& question, const SlotSet* items,
                   Scratch& scratch, ReplyWriter& writer) {
  const Cue cue = {.vector = question.vector,
                   .visible = question.visible ? &*question.visible : nullptr};
  Recall recall;
  const Status recalled = view.recaller().recall(cue, question.params(items), scratch, recall);
  if (!recalled) return write_error(writer, recalled.error());
  write_recall(writer, view, question, recall);
}

/// On a worker.
void answer_energy(const ReadView& view, const Question& question, const SlotSet* items,
                   Scratch& scratch, ReplyWriter& writer) {
  const auto energy = view.recaller().energy(question.vector, question.params(items), scratch);
  if (!energy) return write_error(writer, energy.error());
  writer.number(*energy);
}

/// About what a reply takes, and the question meanwhile.
std::size_t expected_bytes(const Question& question) {
  const Collection& collection = *question.collection;
  return std::min(question.top, collection.size()) * answer_bytes(collection) +
         2 * question.vector.size() * sizeof(float);
}

using Answerer = void (*)(const ReadView& view, const Question& question, const SlotSet* items,
                          Scratch& scratch, ReplyWriter& writer);

void ask(CommandContext& context, Question question, Answerer answer) {
  struct Pending {
    Question question;
    Deferred reply;
    std::string rendered;
  };
  const std::size_t expected = expected_bytes(question);
  const auto pending =
      std::make_shared<Pending>(Pending{std::move(question), context.defer(expected), {}});
  const Status begun = pending->question.collection->recall(
      [pending, answer](const ReadView& view, const SlotSet* items, Scratch& scratch) {
        ReplyWriter writer(pending->rendered, pending->reply.version());
        answer(view, pending->question, items, scratch, writer);
      },
      [pending] { pending->reply.reply_rendered(std::move(pending->rendered)); });
  if (begun) return;
  pending->reply.reply([&](ReplyWriter& writer) { write_error(writer, begun.error()); });
}

}  // namespace

void vrecall(CommandContext& context) {
  auto question = read_vrecall(context);
  if (!question) return write_error(context.reply, question.error());
  ask(context, std::move(*question), answer_recall);
}

void venergy(CommandContext& context) {
  auto question = read_venergy(context);
  if (!question) return write_error(context.reply, question.error());
  ask(context, std::move(*question), answer_energy);
}

}  // namespace engram
