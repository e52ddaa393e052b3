// SPDX-License-Identifier: Apache-2.0
#include "server/requests/survey.h"

#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "server/engine/persistence.h"
#include "server/requests/facts.h"
#include "server/requests/filter.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

/// A survey looks at each of its sample twice, perhaps by a scan each time, and no client can stop
/// it: so many are far more than quantiles need.
constexpr CountArgument kSample = {"SAMPLE", 2, 4096};
constexpr CountArgument kSeed = {"SEED", 0, std::numeric_limits<std::uint64_t>::max()};

constexpr std::array<std::string_view, 3> kSurveyNames = {kSample.name, kSeed.name, "FILTER"};

/// The request outlives the survey.
SurveyParams params_of(const SurveyRequest& request, bool tunes) {
  return {.sample = request.sample,
          .seed = request.seed,
          .options = request.options ? &*request.options : nullptr,
          .tunes = tunes};
}

Status read_survey_options(std::vector<OptionText>& options,
                           std::span<const std::string_view> names, SurveyRequest& request) {
  const auto sample = take_count(options, kSample, request.sample);
  if (!sample) return tl::unexpected(sample.error());
  request.sample = *sample;
  const auto seed = take_count(options, kSeed, request.seed);
  if (!seed) return tl::unexpected(seed.error());
  request.seed = *seed;
  auto rest = read_schema(request.index.spec().primitive->recall_options, options, names);
  if (!rest) return tl::unexpected(rest.error());
  request.options = std::move(*rest);
  return {};
}

struct TuneRun {
  Store& store;
  TuneRequest request;
  Responder<Tuning> responder;
  bool is_step;  // of a transaction
  Result<Tuning> tuning = {};
  Lsn lsn = 0;
};

/// What was recorded since the survey's end is acknowledged by the journal as what a command
/// records at once. A transaction seals for all of its steps.
Lsn seal(const TuneRun& run) {
  Persistence* const persistence = run.store.persistence();
  if (run.is_step || persistence == nullptr || !persistence->holds_answers()) return 0;
  return persistence->seal();
}

void adopt(const std::shared_ptr<TuneRun>& run) {
  TransactionGate& gate = run->store.gate();
  const Status begun = run->request.index.collection->tune(*run->tuning, [run, &gate] {
    run->responder.take(run->tuning);
    run->responder.finish(run->lsn);
    if (!run->is_step) gate.leave();
  });
  if (!begun) return run->responder.refuse(begun.error());
  if (!run->is_step) gate.enter();  // the survey was no write yet, this is
  run->lsn = seal(*run);
}

struct DiagnoseRun {
  DiagnoseRequest request;
  Responder<std::vector<Fact>> responder;
  FactList facts = {};
};

}  // namespace

Status read_options(std::vector<OptionText> options, TuneRequest& request) {
  return read_survey_options(options, std::span(kSurveyNames).first(2), request);
}

Status read_options(std::vector<OptionText> options, DiagnoseRequest& request) {
  ENGRAM_TRY(take_filter(options, request.filter));
  return read_survey_options(options, kSurveyNames, request);
}

void start(Store& store, TuneRequest request, Responder<Tuning> responder) {
  const Status checked = kSample.check(request.sample);
  if (!checked) return responder.refuse(checked.error());
  // A closed gate lets only the steps of its transaction through.
  const auto run = std::make_shared<TuneRun>(
      TuneRun{store, std::move(request), std::move(responder), store.gate().is_closed()});
  run->request.index.collection->survey(
      params_of(run->request, true), time_of_read(store, *run->request.index.collection),
      std::nullopt, [run](const ReadView&, const Survey& survey) { run->tuning = survey.tuning(); },
      [run](Status surveyed) {
        if (surveyed) surveyed = run->request.index.check_soundness();
        if (!surveyed) return run->responder.refuse(surveyed.error());
        if (!run->tuning) return run->responder.refuse(run->tuning.error());
        if (run->is_step) return adopt(run);
        run->store.gate().when_open([run] { adopt(run); });
      });
}

void start(Store& store, DiagnoseRequest request, Responder<std::vector<Fact>> responder) {
  const Status checked = kSample.check(request.sample);
  if (!checked) return responder.refuse(checked.error());
  const auto run =
      std::make_shared<DiagnoseRun>(DiagnoseRun{std::move(request), std::move(responder)});
  std::optional<Collection::Condition> condition;
  if (run->request.filter != nullptr) {
    condition = {run->request.filter, store.most_column_bytes(), store.memory_check()};
  }
  run->request.index.collection->survey(
      params_of(run->request, false), time_of_read(store, *run->request.index.collection),
      condition,
      [run](const ReadView&, const Survey& survey) { run->facts.add(survey.diagnosis()); },
      [run](Status surveyed) {
        if (surveyed) surveyed = run->request.index.check_soundness();
        if (!surveyed) return run->responder.refuse(surveyed.error());
        run->responder.take(std::move(run->facts).take());
        run->responder.finish(0);
      });
}

}  // namespace engram
