// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/settings.h"

#include <string>
#include <string_view>

#include "core/text.h"
#include "primitives/recall/option_reading.h"

namespace engram::recall {
namespace {

/// Rows of unit length and a usual distance of some tenths: 100 tells them apart.
constexpr double kCosineBeta = 100;

/// Within these neither logits nor energies leave the range of doubles.
constexpr double kLeastBeta = 1e-40;
constexpr double kMostBeta = 1e15;

Result<double> check_beta(double beta, std::string_view from) {
  if (beta >= kLeastBeta && beta <= kMostBeta) return beta;
  return fail(ErrorCode::kInvalidArgument,
              std::string(from) + " gives a beta of " + number_text(beta) + ", it must be in " +
                  number_text(kLeastBeta) + ".." + number_text(kMostBeta));
}

}  // namespace

Settings read_settings(const Options& options, Settings settings) {
  // The later word counts: a BETA takes back the NOISE of the index, and the other way round.
  if (options.given("BETA")) settings.noise = 0;
  if (options.given("NOISE")) settings.beta = 0;
  read_real(options, "BETA", settings.beta);
  read_real(options, "NOISE", settings.noise);
  read_choice(options, "SEP", kSeparationNames, settings.separation.kind);
  read_real(options, "ALPHA", settings.separation.alpha);
  read_count(options, "TOPK", settings.separation.k);
  read_count(options, "STEPS", settings.steps);
  read_real(options, "TOL", settings.tolerance);
  read_choice(options, "MODE", kModeNames, settings.mode);
  read_choice(options, "CAND", kCandidatesNames, settings.candidates);
  read_count(options, "L", settings.candidate_count);
  read_real(options, "TRUNC", settings.truncation);
  read_count(options, "EF", settings.ef);
  return settings;
}

Result<double> resolve_beta(const Settings& settings, Metric metric, double tuned) {
  if (settings.noise > 0) {
    if (settings.beta > 0) {
      return fail(ErrorCode::kInvalidArgument, "BETA and NOISE are two ways to say one thing");
    }
    if (metric != Metric::kL2) {
      return fail(ErrorCode::kInvalidArgument,
                  "NOISE is a distance, so it needs METRIC l2; give BETA");
    }
    return check_beta(1 / (settings.noise * settings.noise), "NOISE");
  }
  if (settings.beta > 0) return check_beta(settings.beta, "BETA");
  if (tuned > 0) return tuned;
  if (metric == Metric::kCosine) return kCosineBeta;
  return fail(ErrorCode::kInvalidArgument,
              "there is no beta yet: VTUNE finds one, or give BETA" +
                  std::string(metric == Metric::kL2 ? " or NOISE" : ""));
}

}  // namespace engram::recall
