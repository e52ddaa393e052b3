// SPDX-License-Identifier: Apache-2.0
// The log-sum-ReLU energy [Hoover2025] and its descent:
//
//   E(q) = -1/beta ln sum_i s_i [1 - beta/2 ||q - x_i||^2]+     +infinity where all terms are zero
//   T(q) = the mean of S(q), the items nearer to q than the radius r = sqrt(2 / beta), weighted by
//   s
//
// with the strengths s_i = 1, or e^-handicap where some are weaker than others (core/bias.h).
// T is mean shift with the Epanechnikov kernel. It comes to rest after finitely many steps, when
// S repeats. Distances are Euclidean between rows whatever the metric: under cosine between unit
// vectors, and the state is not made one again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/shared/candidates/candidates.h"

namespace engram::lsr {

/// What happens to a cue that no item is near enough to: start at the nearest item; give no answer;
/// or widen the radius, for this cue, until it just holds the nearest.
enum class Outside : std::uint8_t { kNearest, kAbstain, kExpand };
inline constexpr std::string_view kOutsideNames[] = {"nearest", "abstain", "expand"};

/// The beta that a radius stands for.
constexpr double beta_of(double radius) noexcept {
  return 2 / (radius * radius);
}

struct LsrSettings {
  double radius = 0;  ///< 0: given by beta, or what VTUNE found
  double beta = 0;    ///< 2 / radius^2; 0: not said
  Outside outside = Outside::kNearest;
  std::size_t steps = 100;
  recall::Candidates candidates = recall::Candidates::kAuto;
  std::size_t candidate_count = 256;
};

inline constexpr std::array kRecallOptions = {
    real_option("RADIUS", 0, 0, 1e15, "how near items must be; 0 is what VTUNE found"),
    real_option("BETA", 0, 0, 1e15, "the same in other words: RADIUS is sqrt(2 / BETA)"),
    choice_option("OUTSIDE", "nearest", kOutsideNames, "what a cue beyond all radii does"),
    integer_option("STEPS", 100, 0, 10'000, "at most so many updates of the state"),
    choice_option("CAND", "auto", recall::kCandidatesNames,
                  "items looked at: all, or those that a graph finds, or that beyond 20000"),
    integer_option("L", 256, 1, 1'000'000, "how many candidates a graph is asked for at first"),
};

/// `settings` with what `options`, whose schema has kRecallOptions, gives.
LsrSettings read_settings(const Options& options, LsrSettings settings);

/// Threads: every member beside every other.
class LsrRecaller final : public Recaller {
 public:
  /// defaults: where a command does not say. Errors: kInvalidArgument where they give no radius
  /// that can be used, though they try; those of make_row_algebra().
  static Result<std::unique_ptr<LsrRecaller>> create(const MemoryView& memory,
                                                     const LsrSettings& defaults);

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override;
  [[nodiscard]] double beta() const override;
  std::vector<Fact> describe() const override;

 private:
  /// What VTUNE found.
  struct LsrTuning {
    double radius = 0;  // 0: nothing yet
    double gap = 0;
    double items = 0;
  };

  LsrRecaller(const MemoryView& memory, const LsrSettings& defaults,
              std::unique_ptr<RowAlgebra> algebra)
      : memory_(memory), defaults_(defaults), algebra_(std::move(algebra)) {}

  LsrSettings settings(const Options* options) const;
  Result<double> radius(const LsrSettings& settings) const;
  LsrTuning tuned() const;

  const MemoryView memory_;
  const LsrSettings defaults_;
  const std::unique_ptr<RowAlgebra> algebra_;
  mutable std::mutex mutex_;  // guards the following
  LsrTuning tuned_;
};

}  // namespace engram::lsr
