// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/hebb_recaller.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "core/text.h"
#include "primitives/recall/option_reading.h"
#include "primitives/recall/sign_recall.h"

namespace engram::hebb {
namespace {

/// Works on the sum of outer products, d W with a diagonal: its numbers are whole, so nothing is
/// rounded.
class HebbDynamics final : public recall::SignDynamics {
 public:
  HebbDynamics(std::span<const std::int32_t> sum, std::size_t dim) : sum_(sum), dim_(dim) {}

  std::optional<double> energy(const recall::SignState& state) override {
    measure(state);
    std::int64_t twice = 0;
    for (std::size_t i = 0; i < dim_; ++i) twice -= state.sign(i) * pulls_[i];
    return static_cast<double>(twice) / (2.0 * static_cast<double>(dim_));
  }

  bool update(recall::SignState& state) override {
    measure(state);
    bool changed = false;
    for (std::size_t i = 0; i < dim_; ++i) {
      if (!state.is_free(i)) continue;
      const int former = state.sign(i);
      const bool keeps = pulls_[i] == 0 && former != 0;
      const int sign = keeps ? former : pulls_[i] > 0 ? 1 : -1;
      if (sign == former) continue;
      pull_by(i, sign - former);
      state.set(i, sign > 0);
      changed = true;
    }
    return changed;
  }

  /// What an item contributes to the energy is the square of its overlap.
  double log_share(std::size_t mismatches, std::size_t known) const override {
    const double overlap = static_cast<double>(known) - 2 * static_cast<double>(mismatches);
    return 2 * std::log(std::abs(overlap));
  }

 private:
  /// Fills pulls_ at the first call; later they follow the state.
  void measure(const recall::SignState& state) {
    if (!pulls_.empty()) return;
    pulls_.assign(dim_, 0);
    for (std::size_t i = 0; i < dim_; ++i) pull_by(i, state.sign(i));
  }

  /// Sign i has changed by so much, and with it what pulls at all others.
  void pull_by(std::size_t i, int change) {
    if (change == 0) return;
    const std::int32_t* const row = &sum_[i * dim_];
    const std::int64_t own = pulls_[i];
    for (std::size_t k = 0; k < dim_; ++k) pulls_[k] += std::int64_t{row[k]} * change;
    pulls_[i] = own;
  }

  const std::span<const std::int32_t> sum_;
  const std::size_t dim_;
  std::vector<std::int64_t> pulls_;  // d times what pulls at each sign
};

std::size_t read_steps(const Options& options, std::size_t steps) {
  recall::read_count(options, "STEPS", steps);
  return steps;
}

}  // namespace

HebbRecaller::HebbRecaller(const Memory& memory, const Options& options)
    : memory_(memory), steps_(static_cast<std::size_t>(options.integer("STEPS"))) {}

Status HebbRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                            Recall& recall) const {
  const std::size_t steps =
      params.options == nullptr ? steps_ : read_steps(*params.options, steps_);
  const IndexContext& context = memory_.context();
  return memory_.with_sum(params.items, scratch,
                          [&](std::span<const std::int32_t> sum, const SlotSet& items) -> Status {
                            auto& buffers = scratch.get<recall::SignBuffers>();
                            buffers.items.read(context.store, items);
                            HebbDynamics dynamics(sum, context.store.dim());
                            recall_signs(context, cue, steps, params.top, dynamics, buffers,
                                         recall);
                            return {};
                          });
}

Result<double> HebbRecaller::energy(std::span<const float> state, const RecallParams& params,
                                    Scratch& scratch) const {
  return memory_.with_sum(
      params.items, scratch,
      [&](std::span<const std::int32_t> sum, const SlotSet& items) -> Result<double> {
        if (items.size() == 0) return std::numeric_limits<double>::infinity();
        const std::size_t dim = memory_.context().store.dim();
        return *HebbDynamics(sum, dim).energy(recall::SignState({.vector = state}, dim));
      });
}

Result<std::unique_ptr<Survey>> HebbRecaller::survey(const SurveyParams& params) const {
  const SlotSet& items = params.items == nullptr ? memory_.held() : *params.items;
  return std::make_unique<recall::ItemSurvey>(*this, memory_.context().store, items, params);
}

std::vector<Fact> HebbRecaller::describe() const {
  const std::size_t items = memory_.held().size();
  const auto dim = static_cast<double>(memory_.context().store.dim());
  std::vector<Fact> facts = {{"load", number_text(static_cast<double>(items) / dim)}};
  for (Fact& fact : surveyed_.describe(items)) facts.push_back(std::move(fact));
  return facts;
}

}  // namespace engram::hebb
