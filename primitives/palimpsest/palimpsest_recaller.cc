// SPDX-License-Identifier: Apache-2.0
#include "primitives/palimpsest/palimpsest_recaller.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/option_reading.h"
#include "primitives/shared/signs/pairwise_signs.h"
#include "primitives/shared/signs/sign_recall.h"

namespace engram::palimpsest {
namespace {

/// E = -1/(2 d) sum J_kl q_k q_l, without the diagonal.
class BoundedDynamics final : public recall::SignDynamics {
 public:
  BoundedDynamics(std::span<const std::int8_t> couplings, std::size_t dim)
      : couplings_(couplings), dim_(dim), signs_(dim) {}

  std::optional<double> energy(const recall::SignState& state) override {
    return static_cast<double>(signs_.twice_energy(state, couplings_)) /
           (2 * static_cast<double>(dim_));
  }
  bool update(recall::SignState& state) override { return signs_.update(state, couplings_); }
  /// As in a memory that keeps all: the square of the overlap.
  double log_share(std::size_t mismatches, std::size_t known) const override {
    return 2 * std::log(std::abs(static_cast<double>(known) - 2 * static_cast<double>(mismatches)));
  }

 private:
  const std::span<const std::int8_t> couplings_;
  const std::size_t dim_;
  recall::PairwiseSigns<std::int8_t, std::int32_t> signs_;
};

}  // namespace

Status PalimpsestRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                                  Recall& recall) const {
  const IndexContext& context = memory_.context();
  auto& buffers = scratch.get<recall::SignBuffers>();
  buffers.items.read(context.store, memory_.among(params.items));
  const auto couplings = memory_.couplings(params.items);
  if (!couplings) return tl::unexpected(couplings.error());
  BoundedDynamics dynamics(couplings->values, context.store.dim());
  recall_signs(context, cue, steps_of(params, steps_), params.top, dynamics, scratch, buffers,
               recall);
  return {};
}

Result<double> PalimpsestRecaller::energy(std::span<const float> state, const RecallParams& params,
                                          Scratch& /*scratch*/) const {
  if (memory_.among(params.items).size() == 0) return std::numeric_limits<double>::infinity();
  const std::size_t dim = memory_.context().store.dim();
  const auto couplings = memory_.couplings(params.items);
  if (!couplings) return tl::unexpected(couplings.error());
  return *BoundedDynamics(couplings->values, dim).energy(recall::SignState({.vector = state}, dim));
}

Result<std::unique_ptr<Survey>> PalimpsestRecaller::survey(const SurveyParams& params) const {
  return std::make_unique<recall::ItemSurvey>(*this, memory_.context().store,
                                              memory_.among(params.items), params);
}

}  // namespace engram::palimpsest
