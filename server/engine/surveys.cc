// SPDX-License-Identifier: Apache-2.0
#include "server/engine/surveys.h"

#include <utility>

#include "server/engine/census.h"
#include "server/engine/curve_survey.h"
#include "server/engine/within_memory.h"

namespace engram {

/// A survey on its way through the workers.
struct Surveys::Run {
  SurveyParams params;
  SurveyScope scope;
  std::int64_t at_ms;
  std::shared_ptr<const SlotSet> items;
  std::shared_ptr<const FilteredItems> among;  // null: all of them
  SurveyWork finish;
  std::function<void(Status)> done;
  GracePeriod::Ticket pin;
  std::optional<StrengthBias> bias = std::nullopt;
  std::unique_ptr<Survey> survey = nullptr;  // made by the first step
  bool has_ended = false;
  Status status = {};
};

void Surveys::start(const SurveyParams& params, SurveyScope scope, std::int64_t at_ms,
                    std::shared_ptr<const FilteredItems> among, SurveyWork finish,
                    std::function<void(Status)> done) {
  auto items = slots_.current_items();
  if (!items) return done(tl::unexpected(std::move(items.error())));
  const auto run =
      std::make_shared<Run>(Run{params, scope, at_ms, std::move(*items), std::move(among),
                                std::move(finish), std::move(done), slots_.pin_rows()});
  run->params.items = run->items.get();
  operations_.when_warm([this, run] { step(run); });
}

void Surveys::step(const std::shared_ptr<Run>& run) {
  operations_.read(
      Lane::kBulk,
      [this, run](Scratch& scratch) {
        run->status = within_memory([&] { return advance(*run, scratch); });
      },
      [this, run] {
        if (run->status && !run->has_ended) return step(run);
        run->survey.reset();
        run->done(std::move(run->status));
        slots_.unpin_rows(run->pin);
      });
}

/// On a worker.
Status Surveys::begin(Run& run) const {
  if (auto bias = view_.bias(run.at_ms)) run.params.bias = &run.bias.emplace(*bias);
  if (run.scope == SurveyScope::kAll && view_.spec().primitive->traits.recalls) {
    auto survey = view_.recaller().survey(run.params);
    if (!survey) return tl::unexpected(std::move(survey.error()));
    run.survey = std::move(*survey);
  }
  if (!run.params.tunes) {
    run.survey = with_census(std::move(run.survey), view_.index(), run.params);
  } else if (run.among == nullptr) {  // a curve is of searches among all
    run.survey = with_curve(std::move(run.survey), view_, run.params);
  }
  if (run.survey == nullptr) return fail(ErrorCode::kUnsupported, "there is nothing to find out");
  return {};
}

/// On a worker.
Status Surveys::advance(Run& run, Scratch& scratch) const {
  if (run.survey == nullptr) {
    if (run.among != nullptr) {
      const auto matching = run.among->matching();
      if (!matching) return tl::unexpected(matching.error());
      run.params.items = *matching;
    }
    ENGRAM_TRY(begin(run));
  }
  run.has_ended = !run.survey->step(scratch);
  if (run.has_ended) run.finish(view_, *run.survey);
  return {};
}

}  // namespace engram
