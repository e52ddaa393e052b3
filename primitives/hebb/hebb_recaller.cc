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

  std::optional<double> energy(const recall::SignState& state) const override {
    const std::vector<std::int32_t> signs = signs_of(state);
    std::int64_t twice = 0;
    for (std::size_t i = 0; i < dim_; ++i) twice -= signs[i] * field(i, signs);
    return static_cast<double>(twice) / (2.0 * static_cast<double>(dim_));
  }

  bool update(recall::SignState& state) override {
    std::vector<std::int32_t> signs = signs_of(state);
    bool changed = false;
    for (std::size_t i = 0; i < dim_; ++i) {
      if (!state.is_free(i)) continue;
      const std::int64_t pull = field(i, signs);
      const bool keeps = pull == 0 && signs[i] != 0;
      const std::int32_t sign = keeps ? signs[i] : pull > 0 ? 1 : -1;
      if (sign == signs[i]) continue;
      signs[i] = sign;
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
  std::vector<std::int32_t> signs_of(const recall::SignState& state) const {
    std::vector<std::int32_t> signs(dim_);
    for (std::size_t i = 0; i < dim_; ++i) signs[i] = state.sign(i);
    return signs;
  }

  /// What pulls at sign i: the sum over all others.
  std::int64_t field(std::size_t i, const std::vector<std::int32_t>& signs) const {
    const std::int32_t* const row = &sum_[i * dim_];
    std::int64_t pull = 0;
    for (std::size_t k = 0; k < dim_; ++k) pull += std::int64_t{row[k]} * signs[k];
    return pull - std::int64_t{row[i]} * signs[i];
  }

  const std::span<const std::int32_t> sum_;
  const std::size_t dim_;
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
