// SPDX-License-Identifier: Apache-2.0
// Dense associative memory through random features [Hoover2024]: the energy of Gaussian kernels
//
//   E(q) = -1/beta ln sum_i exp(-beta/2 ||q - x_i||^2)
//
// read off one sum T = sum_i phi(x_i) instead of the items: E(q) = -1/beta ln max(phi(q).T, floor).
// GradientDescent needs T alone; the items are looked at to say which of them a state is.
//
// Unlike the released code, the floor is not 1e-5 but what noise reaches, and the steps are not of
// one length but as long as the energy falls; README.md says why.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/drdam/gradient_descent.h"
#include "primitives/drdam/item_weights.h"
#include "primitives/drdam/random_features.h"
#include "primitives/shared/superposed/superposed_memory.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram::drdam {

using FeatureSum = recall::SuperposedMemory<RandomFeatures>;

inline constexpr std::array kRecallOptions = {
    integer_option("STEPS", 32, 0, 10'000, "at most so many updates of the state"),
    real_option("TOL", 1e-4, 0, 1, "converged when a step is no longer than TOL max(1, |state|)"),
};

/// The name of what VTUNE finds beside what an ItemSurvey does: the 99th percentile of energies at
/// items, without themselves.
inline constexpr std::string_view kEnergyOfItems = "energy-q99";

/// What there is at a vector.
struct KernelSums {
  double estimate;  ///< phi(q).T
  double exact;     ///< sum_i exp(-beta/2 ||q - x_i||^2); 0 if no item has a distance
  double floor;     ///< FeatureEnergy::floor()
};

/// Threads: every member beside every other.
class DrdamRecaller final : public Recaller {
 public:
  /// options: of a schema that has kRecallOptions. The memory outlives the recaller. Errors: those
  /// of make_row_algebra().
  static Result<std::unique_ptr<DrdamRecaller>> create(const FeatureSum& memory,
                                                       const Options& options);

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override;
  std::vector<Fact> describe() const override;

  /// The sums over `items` (null: all that are held, at least one) at `vector`, [dim], checked.
  /// Errors: kResourceExhausted.
  Result<KernelSums> kernel_sums(std::span<const float> vector, const SlotSet* items,
                                 Scratch& scratch) const;

 private:
  struct Buffers;

  DrdamRecaller(const FeatureSum& memory, const DescentSettings& defaults,
                std::unique_ptr<RowAlgebra> algebra)
      : memory_(memory), defaults_(defaults), algebra_(std::move(algebra)) {}

  DescentSettings settings(const Options* options) const;
  Status read(const SlotSet* items, Scratch& scratch, Buffers& buffers) const;
  void prepare(const Cue& cue, Buffers& buffers) const;
  void settle(const Cue& cue, const DescentSettings& settings, std::size_t top, Scratch& scratch,
              Buffers& buffers, Recall& recall) const;
  std::optional<double> usual_energy() const;

  const FeatureSum& memory_;
  const DescentSettings defaults_;
  const std::unique_ptr<RowAlgebra> algebra_;
  recall::SurveyedItems surveyed_;
  mutable std::mutex mutex_;            // guards the following
  std::optional<double> usual_energy_;  // what VTUNE found: kEnergyOfItems
};

}  // namespace engram::drdam
