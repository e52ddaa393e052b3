// SPDX-License-Identifier: Apache-2.0
#include "server/engine/effort.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "server/engine/curve_survey.h"
#include "server/engine/persistence.h"

namespace engram {
namespace {

/// So many candidates are all items.
constexpr Effort kScanEffort = {.ef = kMaxSlots, .scans = true};

bool is_stale(const RecallCurve& curve, std::size_t items) {
  return items >= 2 * curve.items() || 2 * items <= curve.items();
}

Effort effort_by(const RecallCurve& curve, std::size_t k, double recall) {
  const auto ef = curve.ef_for(k, recall);
  if (!ef) return kScanEffort;
  const double whole = std::floor(*ef);
  return {.ef = static_cast<std::size_t>(whole), .is_narrow = true, .more = *ef - whole};
}

/// While the journal cannot be written nothing is recorded; a snapshot has the curve all the same.
void record_curve(Store& store, const std::shared_ptr<Collection>& collection) {
  store.record_late(false, [&store, collection] {
    Persistence* const persistence = store.persistence();
    if (persistence == nullptr || !persistence->health()) return;
    collection->record_recall_curve();
    persistence->seal();
  });
}

void end_survey(Store& store, const std::shared_ptr<Collection>& collection,
                const std::optional<RecallCurve>& curve, const Status& status) {
  CurveSurveyProgress& progress = collection->curve_survey();
  progress.is_under_way = false;
  if (curve) {
    collection->set_recall_curve(*curve);
    record_curve(store, collection);
  }
  for (const auto& waiting : std::exchange(progress.waiting, {})) waiting(status);
}

void survey_searches(Store& store, const std::shared_ptr<Collection>& collection) {
  CurveSurveyProgress& progress = collection->curve_survey();
  if (std::exchange(progress.is_under_way, true)) return;
  const auto curve = std::make_shared<std::optional<RecallCurve>>();
  collection->survey(
      {.sample = 0}, 0, std::nullopt,
      [curve](const ReadView&, const Survey& survey) {
        if (const auto tuning = survey.tuning()) *curve = RecallCurve::from(*tuning);
      },
      [&store, collection, curve](const Status& status) {
        end_survey(store, collection, *curve, status);
      },
      SurveyScope::kSearches);
}

}  // namespace

void choose_effort(Store& store, const std::shared_ptr<Collection>& collection, std::size_t k,
                   double recall, std::function<void(Result<Effort>)> done) {
  if (collection->spec().primitive->traits.exact) return done(Effort{});
  const std::size_t items = collection->size();
  if (recall >= 1 || items < kFewestForCurve) return done(kScanEffort);
  if (const auto& curve = collection->recall_curve()) {
    if (is_stale(*curve, items)) survey_searches(store, collection);
    return done(effort_by(*curve, k, recall));
  }
  collection->curve_survey().waiting.push_back(
      [collection, k, recall, done = std::move(done)](const Status& status) {
        if (!status) return done(tl::unexpected(status.error()));
        const auto& curve = collection->recall_curve();
        done(curve ? effort_by(*curve, k, recall) : kScanEffort);
      });
  survey_searches(store, collection);
}

}  // namespace engram
