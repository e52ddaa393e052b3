// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_settings.h"

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/option_reading.h"
#include "core/text.h"

namespace engram::hopfield {
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

std::vector<OptionSpec> make_recall_options() {
  std::vector<OptionSpec> all = {
      real_option("BETA", 0, 0, 1e15,
                  "inverse temperature; 0 is what VTUNE found, else 100 under cosine"),
      real_option("NOISE", 0, 0, 1e15,
                  "standard deviation of the cue's noise under l2: BETA is 1 / NOISE^2"),
  };
  const auto separation = separation_options();
  all.insert(all.end(), separation.begin(), separation.end());
  const OptionSpec others[] = {
      integer_option("STEPS", 32, 0, 10'000, "at most so many updates of the state"),
      real_option("TOL", 1e-4, 0, 1, "converged when a step is no longer than TOL max(1, |state|)"),
      choice_option("MODE", "posterior", kModeNames, "what a mask's visible coordinates do"),
      choice_option("CAND", "auto", recall::kCandidatesNames,
                    "items looked at: all, or those that a graph finds, or that beyond 20000"),
      integer_option("L", 64, 1, 1'000'000, "how many candidates a graph is asked for at first"),
      real_option("TRUNC", 1e-3, 0, 1,
                  "it is asked for more until no more than this share of the weight is left out"),
      integer_option("EF", 0, 0, 1'000'000, "the graph's EF for them; 0 is a quarter more"),
  };
  all.insert(all.end(), std::begin(others), std::end(others));
  return all;
}

}  // namespace

std::span<const OptionSpec> recall_options() {
  static const std::vector<OptionSpec> made = make_recall_options();
  return made;
}

HopfieldSettings read_settings(const Options& options, HopfieldSettings settings) {
  // The later word counts: a BETA takes back the NOISE of the index, and the other way round.
  if (options.given("BETA")) settings.noise = 0;
  if (options.given("NOISE")) settings.beta = 0;
  read_real(options, "BETA", settings.beta);
  read_real(options, "NOISE", settings.noise);
  settings.separation.read(options);
  read_count(options, "STEPS", settings.steps);
  read_real(options, "TOL", settings.tolerance);
  read_choice(options, "MODE", kModeNames, settings.mode);
  read_choice(options, "CAND", recall::kCandidatesNames, settings.candidates);
  read_count(options, "L", settings.candidate_count);
  read_real(options, "TRUNC", settings.truncation);
  read_count(options, "EF", settings.ef);
  return settings;
}

Result<double> resolve_beta(const HopfieldSettings& settings, Metric metric, double tuned) {
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

}  // namespace engram::hopfield
