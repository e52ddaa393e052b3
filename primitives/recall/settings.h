// SPDX-License-Identifier: Apache-2.0
// How a Hopfield network recalls, and the options that say so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/metric.h"
#include "core/options.h"
#include "core/result.h"
#include "primitives/recall/candidates.h"
#include "primitives/recall/separation.h"

namespace engram::recall {

/// What happens to the coordinates that a mask leaves visible: posterior takes one step from them
/// and fills in the others; clamp goes on from there with the visible ones held fast.
enum class Mode : std::uint8_t { kPosterior, kClamp };
inline constexpr std::string_view kModeNames[] = {"posterior", "clamp"};

struct Settings {
  double beta = 0;   ///< inverse temperature; 0: what VTUNE found, or the metric's default
  double noise = 0;  ///< standard deviation of a cue's noise, which gives beta; 0: not said
  SeparationRule separation;
  std::size_t steps = 32;
  double tolerance = 1e-4;
  Mode mode = Mode::kPosterior;
  Candidates candidates = Candidates::kAuto;
  std::size_t candidate_count = 64;
  double truncation = 1e-3;  ///< more candidates are taken until no more weight may be left out
  std::size_t ef = 0;        ///< of the graph; 0: a quarter more than candidates
};

/// VRECALL's, and VNEW's where it sets what recalls of an index do unless they say otherwise.
inline constexpr std::array kRecallOptions = {
    real_option("BETA", 0, 0, 1e15,
                "inverse temperature; 0 is what VTUNE found, else 100 under cosine"),
    real_option("NOISE", 0, 0, 1e15,
                "standard deviation of the cue's noise under l2: BETA is 1 / NOISE^2"),
    choice_option("SEP", "softmax", kSeparationNames, "how similarities become weights"),
    real_option("ALPHA", 1.5, 1.01, 4, "of SEP entmax: 1 would be softmax, 2 is sparsemax"),
    integer_option("TOPK", 8, 1, 1'000'000, "of SEP topk: how many items have a weight"),
    integer_option("STEPS", 32, 0, 10'000, "at most so many updates of the state"),
    real_option("TOL", 1e-4, 0, 1, "converged when a step is no longer than TOL max(1, |state|)"),
    choice_option("MODE", "posterior", kModeNames, "what a mask's visible coordinates do"),
    choice_option("CAND", "auto", kCandidatesNames,
                  "items looked at: all, or those that a graph finds, or that beyond 20000"),
    integer_option("L", 64, 1, 1'000'000, "how many candidates a graph is asked for at first"),
    real_option("TRUNC", 1e-3, 0, 1,
                "it is asked for more until no more than this share of the weight is left out"),
    integer_option("EF", 0, 0, 1'000'000, "the graph's EF for them; 0 is a quarter more"),
};

/// `settings` with what `options`, whose schema has kRecallOptions, gives.
Settings read_settings(const Options& options, Settings settings);

/// The beta to use. tuned: what VTUNE found, or 0. Errors: kInvalidArgument where there is none,
/// where NOISE has no meaning under the metric, or where the beta is too small or great to compute
/// with.
Result<double> resolve_beta(const Settings& settings, Metric metric, double tuned);

}  // namespace engram::recall
