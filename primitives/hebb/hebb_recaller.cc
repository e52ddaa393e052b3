// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/hebb_recaller.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "core/option_reading.h"
#include "core/text.h"
#include "primitives/shared/signs/sign_recall.h"

namespace engram::hebb {
namespace {

/// Works on the sum of outer products, d W with a diagonal: its numbers are whole, so nothing is
/// rounded.
class HebbDynamics final : public recall::SignDynamics {
 public:
  HebbDynamics(Correlations::View view, std::size_t dim) : view_(std::move(view)), dim_(dim) {}

  /// Of reading the memory; after an error states are of no use.
  const Status& status() const noexcept { return status_; }

  std::optional<double> energy(const recall::SignState& state) override {
    read([&](std::span<const std::int32_t> sum) { measure(state, sum); });
    if (!status_) return std::nullopt;
    std::int64_t twice = 0;
    for (std::size_t i = 0; i < dim_; ++i) twice -= state.sign(i) * pulls_[i];
    return static_cast<double>(twice) / (2.0 * static_cast<double>(dim_));
  }

  bool update(recall::SignState& state) override {
    bool changed = false;
    read([&](std::span<const std::int32_t> sum) {
      measure(state, sum);
      for (std::size_t i = 0; i < dim_; ++i) changed |= state.is_free(i) && turn(i, state, sum);
    });
    return changed;
  }

  /// What an item contributes to the energy is the square of its overlap.
  double log_share(std::size_t mismatches, std::size_t known) const override {
    const double overlap = static_cast<double>(known) - 2 * static_cast<double>(mismatches);
    return 2 * std::log(std::abs(overlap));
  }

 private:
  template <class Use>
  void read(Use&& use) {
    if (status_) status_ = view_.read(use);
  }

  /// Fills pulls_ at the first call; later they follow the state.
  void measure(const recall::SignState& state, std::span<const std::int32_t> sum) {
    if (!pulls_.empty()) return;
    pulls_.assign(dim_, 0);
    for (std::size_t i = 0; i < dim_; ++i) pull_by(i, state.sign(i), sum);
  }

  /// Whether sign i changes, or becomes known, by what pulls at it.
  bool turn(std::size_t i, recall::SignState& state, std::span<const std::int32_t> sum) {
    const int former = state.sign(i);
    const int sign = state.sign_in(i, pulls_[i]);
    if (sign == former) return false;
    pull_by(i, sign - former, sum);
    state.set(i, sign > 0);
    return true;
  }

  /// Sign i has changed by so much, and with it what pulls at all others.
  void pull_by(std::size_t i, int change, std::span<const std::int32_t> sum) {
    if (change == 0) return;
    const std::int32_t* const row = &sum[i * dim_];
    const std::int64_t own = pulls_[i];
    for (std::size_t k = 0; k < dim_; ++k) pulls_[k] += std::int64_t{row[k]} * change;
    pulls_[i] = own;
  }

  Correlations::View view_;
  const std::size_t dim_;
  Status status_;
  std::vector<std::int64_t> pulls_;  // d times what pulls at each sign
};

}  // namespace

HebbRecaller::HebbRecaller(const Correlations& memory, const Options& options)
    : memory_(memory), steps_(static_cast<std::size_t>(options.integer("STEPS"))) {}

Status HebbRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                            Recall& recall) const {
  const IndexContext& context = memory_.context();
  auto& buffers = scratch.get<recall::SignBuffers>();
  buffers.items.read(context.store, memory_.among(params.items));
  HebbDynamics dynamics({memory_, params.items, scratch}, context.store.dim());
  recall_signs(context, cue, steps_of(params, steps_), params.top, dynamics, buffers, recall);
  return dynamics.status();
}

Result<double> HebbRecaller::energy(std::span<const float> state, const RecallParams& params,
                                    Scratch& scratch) const {
  if (memory_.among(params.items).size() == 0) return std::numeric_limits<double>::infinity();
  const std::size_t dim = memory_.context().store.dim();
  HebbDynamics dynamics({memory_, params.items, scratch}, dim);
  const auto energy = dynamics.energy(recall::SignState({.vector = state}, dim));
  if (!energy) return tl::unexpected(dynamics.status().error());
  return *energy;
}

Result<std::unique_ptr<Survey>> HebbRecaller::survey(const SurveyParams& params) const {
  return std::make_unique<recall::ItemSurvey>(*this, memory_.context().store,
                                              memory_.among(params.items), params);
}

std::vector<Fact> HebbRecaller::describe() const {
  const std::size_t items = memory_.held().size();
  const auto dim = static_cast<double>(memory_.context().store.dim());
  std::vector<Fact> facts = {{"load", number_text(static_cast<double>(items) / dim)}};
  for (Fact& fact : surveyed_.describe(items)) facts.push_back(std::move(fact));
  return facts;
}

}  // namespace engram::hebb
