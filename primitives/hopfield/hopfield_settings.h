// SPDX-License-Identifier: Apache-2.0
// How a Hopfield network recalls, and the options that say so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/metric.h"
#include "core/options.h"
#include "core/result.h"
#include "primitives/shared/candidates/candidates.h"
#include "primitives/shared/separation/separation_choice.h"

namespace engram::hopfield {

/// What happens to the coordinates that a mask leaves visible: posterior takes one step from them
/// and fills in the others; clamp goes on from there with the visible ones held fast.
enum class Mode : std::uint8_t { kPosterior, kClamp };
inline constexpr std::string_view kModeNames[] = {"posterior", "clamp"};

struct HopfieldSettings {
  double beta = 0;   ///< inverse temperature; 0: what VTUNE found, or the metric's default
  double noise = 0;  ///< standard deviation of a cue's noise, which gives beta; 0: not said
  SeparationChoice separation;
  std::size_t steps = 32;
  double tolerance = 1e-4;
  Mode mode = Mode::kPosterior;
  recall::Candidates candidates = recall::Candidates::kAuto;
  std::size_t candidate_count = 64;
  double truncation = 1e-3;  ///< more candidates are taken until no more weight may be left out
  std::size_t ef = 0;        ///< of the graph; 0: a quarter more than candidates
};

/// VRECALL's, and VNEW's where it sets what recalls of an index do unless they say otherwise. To be
/// asked for when all separations have registered, see Primitive::complete.
std::span<const OptionSpec> recall_options();

/// `settings` with what `options`, whose schema has recall_options(), gives.
HopfieldSettings read_settings(const Options& options, HopfieldSettings settings);

/// The beta to use. tuned: what VTUNE found, or 0. Errors: kInvalidArgument where there is none,
/// where NOISE has no meaning under the metric, or where the beta is too small or great to compute
/// with.
Result<double> resolve_beta(const HopfieldSettings& settings, Metric metric, double tuned);

}  // namespace engram::hopfield
