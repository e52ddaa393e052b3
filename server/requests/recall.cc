// SPDX-License-Identifier: Apache-2.0
#include "server/requests/recall.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "server/requests/answer_size.h"
#include "server/requests/filter.h"
#include "server/requests/mask.h"
#include "server/requests/reinforcement.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

constexpr CountArgument kTop = {"TOP", 0, kMaxSlots};

std::size_t result_count(const RecallRequest& request) {
  return std::min(request.top, request.index.collection->size());
}

/// Of a vector that came, and of one that may be answered.
std::size_t vector_bytes(const IndexRef& index) {
  return 2 * index.spec().dim * sizeof(float);
}

Status check_is_one(const CheckedVectors& vectors, const IndexRef& index, std::string_view what) {
  if (vectors.values().size() == index.spec().dim) return {};
  return fail(ErrorCode::kInvalidArgument, "expected one " + std::string(what));
}

Status read_visible(std::string_view text, RecallRequest& request) {
  auto ranges = read_mask(text, request.index.name, request.index.spec().dim);
  if (!ranges) return tl::unexpected(ranges.error());
  request.visible = std::move(*ranges);
  return {};
}

/// The visible coordinates as Cue has them: a mask that hides nothing is none.
Status settle_mask(RecallRequest& request) {
  if (!request.visible) return {};
  const std::size_t dim = request.index.spec().dim;
  auto ranges = merge_mask(std::move(*request.visible), request.index.name, dim);
  if (!ranges) return tl::unexpected(ranges.error());
  const bool hides_nothing =
      ranges->size() == 1 && ranges->front().begin == 0 && ranges->front().end == dim;
  request.visible.reset();
  if (!hides_nothing) request.visible = std::move(*ranges);
  return {};
}

Result<std::optional<Options>> read_recall_options(const IndexRef& index,
                                                   std::span<const OptionText> options,
                                                   std::span<const std::string_view> others = {}) {
  return read_schema(index.spec().primitive->recall_options, options, others);
}

/// On a worker.
RecallAnswer named(const ReadView& view, const Recall& recall) {
  const auto key_of = [&view](const std::optional<Share>& share) {
    return share ? std::optional(view.key_of(share->slot)) : std::nullopt;
  };
  RecallAnswer answer = {recall, key_of(recall.attractor), key_of(recall.onestep), {}};
  answer.support.reserve(recall.support.size());
  for (const Share& share : recall.support) answer.support.push_back(view.key_of(share.slot));
  return answer;
}

/// On a worker.
void add_fields(const ReadView& view, std::int64_t at_ms, NeighborFields fields,
                RecallAnswer& answer) {
  std::vector<Slot> slots;
  for (const Share& share : answer.recall.support) slots.push_back(share.slot);
  if (fields.raw) answer.raw = view.distances(answer.recall.state, slots);
  if (!fields.strength) return;
  for (const Slot slot : slots)
    answer.strengths.push_back(std::exp(view.log_strength(slot, at_ms)));
}

/// On a worker, before anything comes of the recall: what is refused leaves no trace.
Status check_size(const ReadView& view, const Recall& recall, const RecallRequest& request) {
  constexpr std::size_t kShareFraming = 48;  // beside a key
  std::size_t bytes = recall.state.size() * sizeof(float);
  for (std::size_t i = 0; i < std::min(request.top, recall.support.size()); ++i) {
    bytes += view.key_of(recall.support[i].slot).size() + kShareFraming;
  }
  return check_answer_bytes(bytes, kTop.name, request.most_bytes);
}

Status no_mean() {
  return fail(ErrorCode::kUnsupported,
              "WITHMEAN, and any recall of an index with partitions, needs an energy that is a sum "
              "over the items: that of SEP softmax or of lsr; this recall has another");
}

/// On a worker. Returns what the recall does to strengths.
std::vector<Reinforcement> answer(const RecallRequest& request,
                                  const Responder<RecallAnswer>& responder, const ReadView& view,
                                  std::int64_t at_ms, const SlotSet* items, Scratch& scratch) {
  const Abandonable abandonable(scratch, request.abandonment);
  if (const Status awaited = Abandonable::check(scratch); !awaited) {
    responder.take(tl::unexpected(awaited.error()));
    return {};
  }
  const IndexWorkTimer timer(request.index.collection->series(), IndexWork::kRecall);
  const Reinforce rule =
      request.with_mean ? Reinforce::kOff : reinforce_rule(request.index, request.strength);
  const Cue cue = {.vector = request.cue.values(),
                   .visible = request.visible ? &*request.visible : nullptr};
  const auto bias = view.bias(at_ms);
  const RecallParams params = {.options = request.options ? &*request.options : nullptr,
                               .top = std::max(request.top, reinforced_support(rule)),
                               .items = items,
                               .bias = bias ? &*bias : nullptr,
                               .wants_mean = request.with_mean};
  Recall recall;
  Status recalled = view.recaller().recall(cue, params, scratch, recall);
  if (recalled) recalled = request.index.check_soundness();
  if (recalled) recalled = Abandonable::check(scratch);
  if (recalled) recalled = check_size(view, recall, request);
  if (recalled && request.with_mean && !recall.mean) recalled = no_mean();
  if (!recalled) {
    responder.take(tl::unexpected(recalled.error()));
    return {};
  }
  auto effects =
      reinforcements(rule, request.strength.touch.value_or(1), view, recall, request.top);
  recall.support.resize(std::min(recall.support.size(), request.top));
  RecallAnswer named_answer = named(view, recall);
  add_fields(view, at_ms, request.strength.fields, named_answer);
  responder.take(named_answer);
  return effects;
}

/// On a worker.
std::vector<Reinforcement> answer(const EnergyRequest& request, const Responder<double>& responder,
                                  const ReadView& view, std::int64_t at_ms, const SlotSet* items,
                                  Scratch& scratch) {
  const auto bias = view.bias(at_ms);
  const RecallParams params = {.options = request.options ? &*request.options : nullptr,
                               .items = items,
                               .bias = bias ? &*bias : nullptr};
  const auto energy = view.recaller().energy(request.state.values(), params, scratch);
  const Status sound = request.index.check_soundness();
  responder.take(sound ? energy : tl::unexpected(sound.error()));
  return {};
}

/// Has a worker answer a request that is in order.
template <class Request, class Answer>
void answer_on_worker(Store& store, Request request, Responder<Answer> responder) {
  struct Run {
    Request request;
    Responder<Answer> responder;
    std::int64_t at_ms;
    bool is_step;  // of a transaction
    std::vector<Reinforcement> effects = {};
  };
  const std::int64_t at_ms = time_of_read(store, *request.index.collection, request.strength.at_ms);
  const auto run = std::make_shared<Run>(
      Run{std::move(request), std::move(responder), at_ms, store.gate().is_closed()});
  const auto work = [run](const ReadView& view, const SlotSet* items, Scratch& scratch) {
    run->effects = answer(run->request, run->responder, view, run->at_ms, items, scratch);
  };
  const auto done = [run, &store] {
    if (run->effects.empty()) return run->responder.finish(0);
    store.record_late(run->is_step, [run, &store] {
      const Status reinforced =
          reinforce(store, run->request.index, run->request.strength, run->effects);
      if (!reinforced) return run->responder.refuse(reinforced.error());
      run->responder.finish(store.seal_late());
    });
  };
  Collection& collection = *run->request.index.collection;
  if (run->request.filter != nullptr) {
    return collection.recall_among(
        {run->request.filter, store.most_column_bytes(), store.memory_check()}, work,
        [run, done](const Status& recalled) {
          recalled ? done() : run->responder.refuse(recalled.error());
        });
  }
  const Status begun = collection.recall(work, done);
  if (!begun) run->responder.refuse(begun.error());
}

}  // namespace

Status read_stored_cue(std::string_view key, RecallRequest& request) {
  if (request.cue.add_stored(request.index, key)) return {};
  return fail(ErrorCode::kNotFound, "index '" + shown(request.index.name) + "' has no key '" +
                                        shown(key) + "' to recall by");
}

Status read_options(std::vector<OptionText> options, RecallRequest& request) {
  const auto mask = take_option(options, "MASK");
  if (!mask) return tl::unexpected(mask.error());
  if (*mask) ENGRAM_TRY(read_visible(**mask, request));
  const auto top = take_count(options, kTop, request.top);
  if (!top) return tl::unexpected(top.error());
  request.top = *top;
  ENGRAM_TRY(check_result_count(result_count(request)));
  ENGRAM_TRY(take_filter(options, request.filter));
  ENGRAM_TRY(take_strength_read(options, request.strength));
  constexpr std::array<std::string_view, 9> kOthers = {
      "MASK", "TOP", "FILTER", "WITHTRACE", "WITHMEAN", "AT", "TOUCH", "WITHRAW", "WITHSTRENGTH"};
  const std::size_t others = request.index.collection->has_strengths() ? kOthers.size() : 5;
  auto rest = read_recall_options(request.index, options, std::span(kOthers).first(others));
  if (!rest) return tl::unexpected(rest.error());
  request.options = std::move(*rest);
  return {};
}

std::size_t expected_bytes(const RecallRequest& request) {
  return result_count(request) * result_bytes(*request.index.collection) +
         vector_bytes(request.index);
}

void start(Store& store, RecallRequest request, Responder<RecallAnswer> responder) {
  const auto check = [&]() -> Status {
    ENGRAM_TRY(check_is_one(request.cue, request.index, "cue"));
    ENGRAM_TRY(settle_mask(request));
    ENGRAM_TRY(kTop.check(request.top));
    if (reinforce_rule(request.index, request.strength) != Reinforce::kOff) {
      request.strength.touch = request.strength.touch.value_or(1);
    }
    ENGRAM_TRY(check_strength_read(store, request.index, request.strength));
    return check_result_count(result_count(request));
  };
  if (const Status checked = check(); !checked) return responder.refuse(checked.error());
  answer_on_worker(store, std::move(request), std::move(responder));
}

Status read_options(std::vector<OptionText> options, EnergyRequest& request) {
  ENGRAM_TRY(take_read_time(options, request.strength.at_ms));
  ENGRAM_TRY(take_filter(options, request.filter));
  constexpr std::array<std::string_view, 2> kOthers = {"FILTER", "AT"};
  const std::size_t others = request.index.collection->has_strengths() ? 2 : 1;
  auto parsed = read_recall_options(request.index, options, std::span(kOthers).first(others));
  if (!parsed) return tl::unexpected(parsed.error());
  request.options = std::move(*parsed);
  return {};
}

std::size_t expected_bytes(const EnergyRequest& request) {
  return vector_bytes(request.index);
}

void start(Store& store, EnergyRequest request, Responder<double> responder) {
  Status checked = check_is_one(request.state, request.index, "state");
  if (checked) checked = check_strength_read(store, request.index, request.strength);
  if (!checked) return responder.refuse(checked.error());
  answer_on_worker(store, std::move(request), std::move(responder));
}

}  // namespace engram
