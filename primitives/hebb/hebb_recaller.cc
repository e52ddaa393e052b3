// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/hebb_recaller.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "core/option_reading.h"
#include "core/text.h"
#include "primitives/shared/signs/pairwise_signs.h"
#include "primitives/shared/signs/sign_recall.h"

namespace engram::hebb {
namespace {

/// What an item contributes to the energy of hebb is the square of its overlap.
double log_squared_overlap(std::size_t mismatches, std::size_t known) {
  return 2 * std::log(std::abs(static_cast<double>(known) - 2 * static_cast<double>(mismatches)));
}

/// Works on the sum of outer products, d W with a diagonal: its numbers are whole, so nothing is
/// rounded.
class HebbDynamics final : public recall::SignDynamics {
 public:
  HebbDynamics(Correlations::View view, std::size_t dim)
      : view_(std::move(view)), dim_(dim), signs_(dim) {}

  /// Of reading the memory; after an error states are of no use.
  const Status& status() const noexcept { return status_; }

  std::optional<double> energy(const recall::SignState& state) override {
    std::int64_t twice = 0;
    read([&](std::span<const std::int32_t> sum) { twice = signs_.twice_energy(state, sum); });
    if (!status_) return std::nullopt;
    return static_cast<double>(twice) / (2.0 * static_cast<double>(dim_));
  }

  bool update(recall::SignState& state) override {
    bool changed = false;
    read([&](std::span<const std::int32_t> sum) { changed = signs_.update(state, sum); });
    return changed;
  }

  double log_share(std::size_t mismatches, std::size_t known) const override {
    return log_squared_overlap(mismatches, known);
  }

 private:
  template <class Use>
  void read(Use&& use) {
    if (status_) status_ = view_.read(use);
  }

  Correlations::View view_;
  const std::size_t dim_;
  Status status_;
  recall::PairwiseSigns<std::int32_t, std::int64_t> signs_;
};

/// Works on couplings that were learned by another rule.
class LearnedDynamics final : public recall::SignDynamics {
 public:
  LearnedDynamics(std::shared_ptr<const Learned> learned, std::size_t dim)
      : learned_(std::move(learned)), signs_(dim, kLeastField) {}

  std::optional<double> energy(const recall::SignState& state) override {
    return signs_.twice_energy(state, learned_->couplings()) / 2;
  }
  bool update(recall::SignState& state) override {
    return signs_.update(state, learned_->couplings());
  }
  double log_share(std::size_t mismatches, std::size_t known) const override {
    return log_squared_overlap(mismatches, known);
  }

 private:
  const std::shared_ptr<const Learned> learned_;
  recall::PairwiseSigns<double, double> signs_;
};

}  // namespace

HebbRecaller::HebbRecaller(const Correlations& memory, const Learning& learning,
                           const Options& options)
    : memory_(memory),
      learned_(learning),
      steps_(static_cast<std::size_t>(options.integer("STEPS"))) {}

template <class Use>
Status HebbRecaller::with_dynamics(const RecallParams& params, Scratch& scratch, Use&& use) const {
  const std::size_t dim = memory_.context().store.dim();
  Correlations::View view(memory_, params.items, scratch);
  if (learned_.learning().rule == Rule::kHebb) {
    HebbDynamics dynamics(std::move(view), dim);
    use(dynamics);
    return dynamics.status();
  }
  auto learned = learned_.of(view, dim);
  if (!learned) return tl::unexpected(std::move(learned.error()));
  LearnedDynamics dynamics(std::move(*learned), dim);
  use(dynamics);
  return {};
}

Status HebbRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                            Recall& recall) const {
  const IndexContext& context = memory_.context();
  auto& buffers = scratch.get<recall::SignBuffers>();
  buffers.items.read(context.store, memory_.among(params.items));
  return with_dynamics(params, scratch, [&](recall::SignDynamics& dynamics) {
    recall_signs(context, cue, steps_of(params, steps_), params.top, dynamics, scratch, buffers,
                 recall);
  });
}

Result<double> HebbRecaller::energy(std::span<const float> state, const RecallParams& params,
                                    Scratch& scratch) const {
  if (memory_.among(params.items).size() == 0) return std::numeric_limits<double>::infinity();
  const recall::SignState signs({.vector = state}, memory_.context().store.dim());
  std::optional<double> energy;
  ENGRAM_TRY(with_dynamics(
      params, scratch, [&](recall::SignDynamics& dynamics) { energy = dynamics.energy(signs); }));
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
