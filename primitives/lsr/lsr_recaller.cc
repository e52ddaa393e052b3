// SPDX-License-Identifier: Apache-2.0
#include "primitives/lsr/lsr_recaller.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "core/option_reading.h"
#include "core/row.h"
#include "core/text.h"
#include "primitives/lsr/lsr_survey.h"
#include "primitives/lsr/mean_shift.h"
#include "primitives/lsr/neighborhood.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/statistics/statistics.h"

namespace engram::lsr {

namespace {

/// Makes buffers.state the row of `vector`, and buffers.mask count what is visible.
void prepare(const VectorStore& store, const Cue& cue, LsrBuffers& buffers) {
  const std::size_t padded = row_bytes(store.dim()) / sizeof(float);
  buffers.state.resize(padded);
  encode_row(store.metric(), cue.vector, reinterpret_cast<std::byte*>(buffers.state.data()));
  recall::read_mask(cue, store.dim(), buffers.mask);
}

/// What `settings` say of it, or 0. Errors: kInvalidArgument where they say two things, or one that
/// is too small or great to compute with.
Result<double> given_radius(const LsrSettings& settings) {
  constexpr double kLeastBeta = 1e-40;
  constexpr double kMostBeta = 1e100;
  if (settings.radius > 0 && settings.beta > 0) {
    return fail(ErrorCode::kInvalidArgument, "RADIUS and BETA are two ways to say one thing");
  }
  if (!(settings.radius > 0) && !(settings.beta > 0)) return 0.0;
  const bool is_beta = settings.beta > 0;
  const double beta = is_beta ? settings.beta : beta_of(settings.radius);
  if (beta >= kLeastBeta && beta <= kMostBeta) {
    return is_beta ? std::sqrt(2 / beta) : settings.radius;
  }
  return fail(ErrorCode::kInvalidArgument,
              std::string(is_beta ? "BETA" : "RADIUS") + " gives a beta of " + number_text(beta) +
                  ", it must be in " + number_text(kLeastBeta) + ".." + number_text(kMostBeta));
}

}  // namespace

LsrSettings read_settings(const Options& options, LsrSettings settings) {
  // The later word counts: a RADIUS takes back the BETA of the index, and the other way round.
  if (options.given("RADIUS")) settings.beta = 0;
  if (options.given("BETA")) settings.radius = 0;
  read_real(options, "RADIUS", settings.radius);
  read_real(options, "BETA", settings.beta);
  read_choice(options, "OUTSIDE", kOutsideNames, settings.outside);
  read_count(options, "STEPS", settings.steps);
  read_choice(options, "CAND", recall::kCandidatesNames, settings.candidates);
  read_count(options, "L", settings.candidate_count);
  return settings;
}

Result<std::unique_ptr<LsrRecaller>> LsrRecaller::create(const MemoryView& memory,
                                                         const LsrSettings& defaults) {
  ENGRAM_TRY(given_radius(defaults));
  auto algebra = make_row_algebra(memory.context.kernel.name(), memory.context.store.dim());
  if (!algebra) return tl::unexpected(std::move(algebra.error()));
  return std::unique_ptr<LsrRecaller>(new LsrRecaller(memory, defaults, std::move(*algebra)));
}

LsrSettings LsrRecaller::settings(const Options* options) const {
  return options == nullptr ? defaults_ : read_settings(*options, defaults_);
}

LsrRecaller::LsrTuning LsrRecaller::tuned() const {
  const std::lock_guard lock(mutex_);
  return tuned_;
}

Result<double> LsrRecaller::radius(const LsrSettings& settings) const {
  auto given = given_radius(settings);
  if (!given || *given > 0) return given;
  const double found = tuned().radius;
  if (found > 0) return found;
  return fail(ErrorCode::kInvalidArgument,
              "there is no radius yet: VTUNE finds one, or give RADIUS or BETA");
}

Status LsrRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                           Recall& recall) const {
  const LsrSettings settings = this->settings(params.options);
  const auto radius = this->radius(settings);
  if (!radius) return tl::unexpected(radius.error());
  ENGRAM_TRY(recall::check_candidates(memory_, settings.candidates, cue.visible != nullptr));
  if (cue.visible != nullptr && memory_.context.store.metric() == Metric::kCosine) {
    return fail(ErrorCode::kInvalidArgument,
                "how long the visible part of a unit vector is depends on what is hidden, a MASK "
                "needs METRIC l2 or dot");
  }
  recall::Items items = recall::items_of(memory_, params.items, settings.candidates);
  if (cue.visible != nullptr) items.graph = nullptr;
  recall = Recall{};
  recall.beta = beta_of(*radius);
  if (items.count == 0) {
    recall.state.assign(cue.vector.begin(), cue.vector.end());
    recall.converged = true;
    if (params.wants_mean) recall.mean.emplace();
    return {};
  }
  auto& buffers = scratch.get<LsrBuffers>();
  prepare(memory_.context.store, cue, buffers);
  MeanShift shift(memory_, *algebra_, settings, *radius, items, params.bias, scratch, buffers);
  ENGRAM_TRY(shift.run(cue, params.top, recall));
  if (params.wants_mean) shift.describe_mean(recall);
  if (*radius == tuned().radius && cue.visible == nullptr) recall.novel = recall.outside;
  return {};
}

Result<double> LsrRecaller::energy(std::span<const float> state, const RecallParams& params,
                                   Scratch& scratch) const {
  const LsrSettings settings = this->settings(params.options);
  const auto radius = this->radius(settings);
  if (!radius) return tl::unexpected(radius.error());
  const recall::Items items = recall::items_of(memory_, params.items, recall::Candidates::kScan);
  if (items.count == 0) return std::numeric_limits<double>::infinity();
  auto& buffers = scratch.get<LsrBuffers>();
  prepare(memory_.context.store, {.vector = state}, buffers);
  Neighborhood neighborhood(memory_, *algebra_, items, params.bias, scratch, buffers);
  ENGRAM_TRY(neighborhood.look(*radius, settings.candidate_count, buffers.near));
  return energy_of(buffers.near, *radius);
}

Result<std::unique_ptr<Survey>> LsrRecaller::survey(const SurveyParams& params) const {
  const LsrSettings settings = this->settings(params.options);
  double radius = 0;
  if (!params.tunes) {
    const auto known = this->radius(settings);
    if (!known) return tl::unexpected(known.error());
    radius = *known;
  }
  const recall::Items items = recall::items_of(memory_, params.items, settings.candidates);
  recall::NeighborGaps sample(memory_, *algebra_, items, params.sample, params.seed);
  return std::make_unique<LsrSurvey>(std::move(sample), radius, settings.candidate_count);
}

void LsrRecaller::adopt(const Tuning& tuning) {
  LsrTuning tuned;
  for (const auto& [name, number] : tuning) {
    if (!std::isfinite(number)) continue;
    if (name == "radius") tuned.radius = number;
    if (name == "gap") tuned.gap = number;
    if (name == "items") tuned.items = number;
  }
  const std::lock_guard lock(mutex_);
  tuned_ = tuned.radius > 0 && tuned.items > 0 ? tuned : LsrTuning{};
}

double LsrRecaller::beta() const {
  const auto radius = this->radius(defaults_);
  return radius ? beta_of(*radius) : 0;
}

std::vector<Fact> LsrRecaller::describe() const {
  const LsrTuning tuned = this->tuned();
  std::vector<Fact> facts;
  if (const auto radius = this->radius(defaults_)) {
    const bool is_given = defaults_.radius > 0 || defaults_.beta > 0;
    facts.push_back({"radius", number_text(*radius)});
    facts.push_back({"beta", number_text(beta_of(*radius))});
    facts.push_back({"radius-from", is_given ? "option" : "vtune"});
  } else {
    facts.push_back({"radius-from", "none"});
  }
  if (!(tuned.radius > 0)) return facts;
  facts.push_back({"gap", number_text(tuned.gap)});
  facts.push_back({"stale", recall::is_stale(tuned.items, memory_.held.size()) ? "1" : "0"});
  return facts;
}

}  // namespace engram::lsr
