// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/settings.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace engram::recall {
namespace {

/// Rows of unit length and a usual distance of some tenths: 100 tells them apart.
constexpr double kCosineBeta = 100;

/// Takes over the options that a command named.
class Given {
 public:
  explicit Given(const Options& options) : options_(options) {}

  void real(std::string_view name, double& value) const {
    if (options_.given(name)) value = options_.real(name);
  }
  void count(std::string_view name, std::size_t& value) const {
    if (options_.given(name)) value = static_cast<std::size_t>(options_.integer(name));
  }
  /// The place of the choice among `names`, in the order of the enumeration.
  template <class Enum, std::size_t kSize>
  void choice(std::string_view name, const std::string_view (&names)[kSize], Enum& value) const {
    if (!options_.given(name)) return;
    const auto found = std::find(std::begin(names), std::end(names), options_.choice(name));
    value = static_cast<Enum>(found - std::begin(names));
  }

 private:
  const Options& options_;
};

}  // namespace

Settings read_settings(const Options& options, Settings settings) {
  const Given given(options);
  // The later word counts: a BETA takes back the NOISE of the index, and the other way round.
  if (options.given("BETA")) settings.noise = 0;
  if (options.given("NOISE")) settings.beta = 0;
  given.real("BETA", settings.beta);
  given.real("NOISE", settings.noise);
  given.choice("SEP", kSeparationNames, settings.separation.kind);
  given.real("ALPHA", settings.separation.alpha);
  given.count("TOPK", settings.separation.k);
  given.count("STEPS", settings.steps);
  given.real("TOL", settings.tolerance);
  given.choice("MODE", kModeNames, settings.mode);
  given.choice("CAND", kCandidatesNames, settings.candidates);
  given.count("L", settings.candidate_count);
  given.count("EF", settings.ef);
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
    return 1 / (settings.noise * settings.noise);
  }
  if (settings.beta > 0) return settings.beta;
  if (tuned > 0) return tuned;
  if (metric == Metric::kCosine) return kCosineBeta;
  return fail(ErrorCode::kInvalidArgument,
              "there is no beta yet: VTUNE finds one, or give BETA" +
                  std::string(metric == Metric::kL2 ? " or NOISE" : ""));
}

}  // namespace engram::recall
