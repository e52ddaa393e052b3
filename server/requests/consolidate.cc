// SPDX-License-Identifier: Apache-2.0
#include "server/requests/consolidate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "server/engine/consolidation_run.h"
#include "server/requests/answer_size.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

bool has_time(const IndexRef& index) {
  return index.spec().decay.has_time();
}

Status check(const ConsolidateRequest& request) {
  const IndexRef& index = request.index;
  if (request.at_ms && !has_time(index) && !(request.into && has_time(*request.into))) {
    return fail(ErrorCode::kInvalidArgument, "strengths of index '" + shown(index.name) +
                                                 "' do not change with time, so there is no AT");
  }
  if (!request.into && request.params.replay.draws > 0) {
    return fail(ErrorCode::kInvalidArgument,
                "REPLAY tells another index what this one is reminded of: it needs INTO");
  }
  if (!request.into) return {};
  const IndexRef& into = *request.into;
  if (into.collection == index.collection) {
    return fail(ErrorCode::kInvalidArgument,
                "INTO names the index itself: without INTO its groups become one item each");
  }
  if (into.spec().dim != index.spec().dim || into.spec().metric != index.spec().metric) {
    return fail(ErrorCode::kInvalidArgument, "index '" + shown(into.name) +
                                                 "' has another dimension or metric than '" +
                                                 shown(index.name) + "'");
  }
  const Decay& decay = into.spec().decay;
  const bool needs_time = decay.has_time() && decay.clock == DecayClock::kLogical;
  if (!needs_time || request.at_ms || has_time(index)) return {};
  return fail(ErrorCode::kInvalidArgument, "index '" + shown(into.name) +
                                               "' has CLOCK logical: a write must say AT "
                                               "milliseconds");
}

/// Nothing comes of the work where an index has gone, or is damaged.
Status check_going_on(Store& store, const ConsolidateRequest& request) {
  ENGRAM_TRY(request.index.check_soundness());
  for (const IndexRef* const index : {&request.index, request.into ? &*request.into : nullptr}) {
    if (index == nullptr) continue;
    if (store.keyspace().find_name(*index->collection, index->name)) continue;
    return fail(ErrorCode::kNotFound,
                "index '" + shown(index->name) + "' was dropped while it was consolidated");
  }
  return {};
}

/// What is written has to be told of in the end.
Status check_answer(const Consolidation& work) {
  constexpr std::size_t kFraming = 24;  // of a key
  constexpr std::size_t kGroup = 256;
  return check_answer_bytes(
      2 * work.key_bytes() + kFraming * work.members() + kGroup * work.groups().size(), "LIMIT");
}

/// Jensen's inequality and Hoeffding's lemma for each group; a sum of groups is within the worst of
/// them. Under cosine q has length one, and to stretch a mean of length m to one moves its term by
/// 1 - m at the most.
std::optional<LandscapeBounds> bounds_of(const ConsolidateRequest& request,
                                         const Consolidation& work) {
  if (request.params.keep == Keep::kMedoid) return std::nullopt;
  LandscapeBounds bounds = {0, 0};
  for (const ConsolidationGroup& group : work.groups()) {
    if (group.is_dropped) continue;
    const Prototype& prototype = group.prototype;
    const double spread = work.beta() * prototype.radius * prototype.radius / 2;
    double lower = 0;
    double upper = spread;
    if (request.index.spec().metric == Metric::kL2) lower = -prototype.variance / 2;
    if (request.index.spec().metric == Metric::kCosine && prototype.variance > 0) {
      lower = prototype.mean_length - 1;
      upper = spread + (1 - prototype.mean_length);
    }
    bounds.lower = std::min(bounds.lower, lower);
    bounds.upper = std::max(bounds.upper, upper);
  }
  return bounds;
}

ConsolidateAnswer make_answer(const ConsolidateRequest& request, const ConsolidationRun& run) {
  const Consolidation& work = run.work();
  ConsolidateAnswer answer = {.items = work.items(),
                              .members = 0,
                              .dropped = 0,
                              .beta = work.beta(),
                              .bounds = bounds_of(request, work),
                              .groups = {}};
  for (const ConsolidationGroup& group : work.groups()) {
    if (group.is_dropped) {
      ++answer.dropped;
      continue;
    }
    answer.members += group.members.size();
    ConsolidatedGroup told = {.key = work.key_of(group.prototype.kept),
                              .strength = run.strength_of(group),
                              .radius = group.prototype.radius,
                              .variance = group.prototype.variance,
                              .members = {}};
    for (const std::uint32_t item : group.members) told.members.push_back(work.key_of(item));
    answer.groups.push_back(std::move(told));
  }
  return answer;
}

struct Asked {
  ConsolidateRequest request;
  Responder<ConsolidateAnswer> responder;
};

/// An answer is rendered on a worker: there may be many keys.
void end(const std::shared_ptr<Asked>& asked, const std::shared_ptr<ConsolidationRun>& run,
         const Status& status, Lsn lsn) {
  const auto finish = [asked, run, lsn] {
    run->end_work();
    asked->responder.finish(lsn);
  };
  if (!status) {
    asked->responder.take(tl::unexpected(status.error()));
    return finish();
  }
  asked->request.index.collection->read(
      [asked, run](const ReadView&, Scratch&) {
        asked->responder.take(make_answer(asked->request, *run));
      },
      finish);
}

}  // namespace

void start(Store& store, ConsolidateRequest given, Responder<ConsolidateAnswer> responder) {
  if (const Status checked = check(given); !checked) return responder.refuse(checked.error());
  // Where only the other index has a time, it is the wall's.
  given.params.at_ms = has_time(given.index) || given.at_ms
                           ? time_of_read(store, *given.index.collection, given.at_ms)
                           : store.keyspace().now_ms();
  auto work = given.index.collection->consolidate(given.params);
  if (!work) return responder.refuse(work.error());
  const auto asked = std::make_shared<Asked>(Asked{std::move(given), std::move(responder)});
  const ConsolidateRequest& request = asked->request;
  const auto run = std::make_shared<ConsolidationRun>(
      store,
      ConsolidationRun::Order{.from = request.index.collection,
                              .into = request.into ? request.into->collection : nullptr,
                              .params = request.params,
                              .is_dry = request.is_dry},
      std::move(*work),
      ConsolidationRun::Caller{
          .check = [&store, asked] { return check_going_on(store, asked->request); },
          .check_groups = check_answer,
          .ended = [asked](const auto& ended, const Status& status,
                           Lsn lsn) { end(asked, ended, status, lsn); }});
  run->start();
}

}  // namespace engram
