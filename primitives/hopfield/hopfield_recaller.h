// SPDX-License-Identifier: Apache-2.0
// Recall as a modern Hopfield network over whatever an index holds: what `hopfield` is, and the
// default recaller, by which primitives that are made for search answer VRECALL.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/recall.h"
#include "core/row_algebra.h"
#include "primitives/hopfield/hopfield_descent.h"
#include "primitives/hopfield/hopfield_settings.h"
#include "primitives/hopfield/hopfield_tuning.h"

namespace engram::hopfield {

/// Threads: every member beside every other.
class HopfieldRecaller final : public Recaller {
 public:
  /// defaults: where a command does not say. Errors: those of resolve_beta(), if they try to give
  /// one; those of make_row_algebra().
  static Result<std::unique_ptr<HopfieldRecaller>> create(const MemoryView& memory,
                                                          const HopfieldSettings& defaults);

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override;
  [[nodiscard]] double beta() const override;
  std::vector<Fact> describe() const override;

 private:
  HopfieldRecaller(const MemoryView& memory, const HopfieldSettings& defaults,
                   std::unique_ptr<RowAlgebra> algebra)
      : memory_(memory), defaults_(defaults), algebra_(std::move(algebra)) {}

  HopfieldSettings settings(const Options* options) const;
  Result<double> beta(const HopfieldSettings& settings) const;
  Status check(const Cue& cue, const HopfieldSettings& settings) const;
  const float* encode_state(const Cue& cue, HopfieldBuffers& buffers) const;
  HopfieldTuning tuned() const;

  const MemoryView memory_;
  const HopfieldSettings defaults_;
  const std::unique_ptr<RowAlgebra> algebra_;
  mutable std::mutex mutex_;  // guards the following
  HopfieldTuning tuned_;
};

}  // namespace engram::hopfield
