// SPDX-License-Identifier: Apache-2.0
// Associative recall: which items an operation meets, surveys of many operations, and the numbers
// that an index was tuned to.
#include <cmath>
#include <string>
#include <utility>

#include "server/engine/collection.h"

namespace engram {

/// A survey on its way through the workers.
struct Collection::SurveyRun {
  SurveyParams params;
  std::shared_ptr<const SlotSet> items;
  SurveyWork finish;
  std::function<void(Status)> done;
  GracePeriod::Ticket ticket;
  std::unique_ptr<Survey> survey = nullptr;  // made by the first step
  bool has_ended = false;
  Status status = {};
};

/// The places of all keys, for workers: nobody changes what was handed out. It is copied only after
/// a change, and into the same memory if nobody is left who reads it; who does is known because
/// operations are begun and destroyed on this thread.
Result<std::shared_ptr<const SlotSet>> Collection::current_items() {
  if (!is_copy_stale_) return copy_;
  if (copy_ == nullptr || copy_.use_count() > 1) {
    copy_.reset();
    auto fresh = std::make_shared<SlotSet>();
    ENGRAM_TRY(fresh->reserve());
    copy_ = std::move(fresh);
  }
  ENGRAM_TRY(copy_->assign(current_));
  is_copy_stale_ = false;
  return copy_;
}

/// Where writes run beside it, a recall could meet two versions of a key, or none. It is given the
/// places of the keys as they are now instead: their rows stay until it has ended, for it begins at
/// once, as everything does under such a primitive. Where writes run alone the index itself has
/// each key once.
Status Collection::recall(RecallWork work, std::function<void()> done) {
  std::shared_ptr<const SlotSet> items;
  if (spec_.primitive->traits.concurrent) {
    auto current = current_items();
    if (!current) return tl::unexpected(std::move(current.error()));
    items = std::move(*current);
  }
  read([items, work = std::move(work)](const ReadView& view,
                                       Scratch& scratch) { work(view, items.get(), scratch); },
       std::move(done));
  return {};
}

/// Only rows are kept for the whole survey. The index may let go of erased slots meanwhile: writers
/// wait for that.
void Collection::survey(const SurveyParams& params, SurveyWork finish,
                        std::function<void(Status)> done) {
  auto items = current_items();
  if (!items) return done(tl::unexpected(std::move(items.error())));
  const auto walk = std::make_shared<SurveyRun>(
      SurveyRun{params, std::move(*items), std::move(finish), std::move(done), rows_.enter()});
  walk->params.items = walk->items.get();
  step(walk);
}

void Collection::step(const std::shared_ptr<SurveyRun>& walk) {
  run(
      Access::kShared, Lane::kBulk, [this, walk](Scratch& scratch) { advance(*walk, scratch); },
      [this, walk] {
        if (!walk->has_ended) return step(walk);
        walk->survey.reset();
        walk->done(std::move(walk->status));
        rows_.leave(walk->ticket);
      });
}

/// On a worker.
void Collection::advance(SurveyRun& walk, Scratch& scratch) const {
  if (walk.survey == nullptr) {
    auto survey = view_->recaller().survey(walk.params);
    if (!survey) {
      walk.status = tl::unexpected(std::move(survey.error()));
      walk.has_ended = true;
      return;
    }
    walk.survey = std::move(*survey);
  }
  walk.has_ended = !walk.survey->step(scratch);
  if (walk.has_ended) walk.finish(*view_, *walk.survey);
}

Status Collection::check_tuning(const Tuning& tuning) {
  for (const auto& [name, value] : tuning) {
    if (std::isfinite(value)) continue;
    return fail(
        ErrorCode::kInvalidArgument,
        "the number '" + name + "' of a tuning must be finite, got " + std::to_string(value));
  }
  return {};
}

/// Numbers of a primitive that could recall once are kept, should it be able to again.
void Collection::adopt(const Tuning& tuning) const {
  if (Recaller* const recaller = index_->recaller()) recaller->adopt(tuning);
}

Status Collection::tune(Tuning tuning, std::function<void()> done) {
  ENGRAM_TRY(check_tuning(tuning));
  tuning_ = std::move(tuning);
  changes_.record(tuning_change());
  // In order, as if written to a key that no vector has: the index ends with the same numbers as
  // the journal.
  static constexpr std::string_view kNoKey;
  key_order_.begin(kNoKey, [self = shared_from_this(), numbers = tuning_, done = std::move(done),
                            change = changes_.begin()] {
    Collection& collection = *self;
    collection.run(
        Access::kShared, Lane::kBulk,
        [&collection, numbers](Scratch&) { collection.adopt(numbers); },
        [&collection, done, change] {
          change.end();
          done();
          collection.key_order_.finish(kNoKey);
        });
  });
  return {};
}

}  // namespace engram
