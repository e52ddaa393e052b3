// SPDX-License-Identifier: Apache-2.0
#include "server/requests/recall.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "server/requests/answer_size.h"
#include "server/requests/mask.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

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
void answer(const RecallRequest& request, const Responder<RecallAnswer>& responder,
            const ReadView& view, std::int64_t at_ms, const SlotSet* items, Scratch& scratch) {
  const Cue cue = {.vector = request.cue.values(),
                   .visible = request.visible ? &*request.visible : nullptr};
  const auto bias = view.bias(at_ms);
  const RecallParams params = {.options = request.options ? &*request.options : nullptr,
                               .top = request.top,
                               .items = items,
                               .bias = bias ? &*bias : nullptr};
  Recall recall;
  Status recalled = view.recaller().recall(cue, params, scratch, recall);
  if (recalled) recalled = request.index.check_soundness();
  if (!recalled) return responder.take(tl::unexpected(recalled.error()));
  responder.take(named(view, recall));
}

/// On a worker.
void answer(const EnergyRequest& request, const Responder<double>& responder, const ReadView& view,
            std::int64_t at_ms, const SlotSet* items, Scratch& scratch) {
  const auto bias = view.bias(at_ms);
  const RecallParams params = {.options = request.options ? &*request.options : nullptr,
                               .items = items,
                               .bias = bias ? &*bias : nullptr};
  const auto energy = view.recaller().energy(request.state.values(), params, scratch);
  const Status sound = request.index.check_soundness();
  responder.take(sound ? energy : tl::unexpected(sound.error()));
}

/// Has a worker answer a request that is in order.
template <class Request, class Answer>
void answer_on_worker(Store& store, Request request, Responder<Answer> responder) {
  struct Run {
    Request request;
    Responder<Answer> responder;
    std::int64_t at_ms;
  };
  const std::int64_t at_ms = time_of_read(store, *request.index.collection);
  const auto run = std::make_shared<Run>(Run{std::move(request), std::move(responder), at_ms});
  const Status begun = run->request.index.collection->recall(
      [run](const ReadView& view, const SlotSet* items, Scratch& scratch) {
        answer(run->request, run->responder, view, run->at_ms, items, scratch);
      },
      [run] { run->responder.finish(0); });
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
  constexpr std::array<std::string_view, 3> kOthers = {"MASK", "TOP", "WITHTRACE"};
  auto rest = read_recall_options(request.index, options, kOthers);
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
    return check_result_count(result_count(request));
  };
  if (const Status checked = check(); !checked) return responder.refuse(checked.error());
  answer_on_worker(store, std::move(request), std::move(responder));
}

Status read_options(std::vector<OptionText> options, EnergyRequest& request) {
  auto parsed = read_recall_options(request.index, options);
  if (!parsed) return tl::unexpected(parsed.error());
  request.options = std::move(*parsed);
  return {};
}

std::size_t expected_bytes(const EnergyRequest& request) {
  return vector_bytes(request.index);
}

void start(Store& store, EnergyRequest request, Responder<double> responder) {
  const Status checked = check_is_one(request.state, request.index, "state");
  if (!checked) return responder.refuse(checked.error());
  answer_on_worker(store, std::move(request), std::move(responder));
}

}  // namespace engram
