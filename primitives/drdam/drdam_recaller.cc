// SPDX-License-Identifier: Apache-2.0
#include "primitives/drdam/drdam_recaller.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/option_reading.h"
#include "core/row.h"
#include "core/text.h"
#include "primitives/drdam/drdam_survey.h"
#include "primitives/drdam/feature_energy.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/weights/support.h"

namespace engram::drdam {
namespace {

DescentSettings read_settings(const Options& options, DescentSettings settings) {
  read_count(options, "STEPS", settings.steps);
  read_real(options, "TOL", settings.tolerance);
  return settings;
}

}  // namespace

/// What a worker keeps between recalls.
struct DrdamRecaller::Buffers {
  Superposition superposition;
  ItemBuffers items;
  GradientBuffers descent;
  std::vector<float> row;   // [padded dim], the state
  std::vector<float> mask;  // [padded dim], 1 where a coordinate counts
};

Result<std::unique_ptr<DrdamRecaller>> DrdamRecaller::create(const FeatureSum& memory,
                                                             const Options& options) {
  const auto& [store, kernel] = memory.context();
  auto algebra = make_row_algebra(kernel.name(), store.dim());
  if (!algebra) return tl::unexpected(std::move(algebra.error()));
  const DescentSettings defaults{.steps = static_cast<std::size_t>(options.integer("STEPS")),
                                 .tolerance = options.real("TOL")};
  return std::unique_ptr<DrdamRecaller>(new DrdamRecaller(memory, defaults, std::move(*algebra)));
}

DescentSettings DrdamRecaller::settings(const Options* options) const {
  return options == nullptr ? defaults_ : read_settings(*options, defaults_);
}

/// Takes the sum and the items with it. What follows needs no lock: the caller leaves rows alone.
Status DrdamRecaller::read(const SlotSet* items, Scratch& scratch, Buffers& buffers) const {
  memory_.among(items).list(buffers.items.slots);
  return FeatureSum::View(memory_, items, scratch).read([&](std::span<const std::int64_t> sum) {
    buffers.superposition.read(memory_.trace(), sum);
  });
}

/// Makes the cue the state, zeros in the place of what is hidden.
void DrdamRecaller::prepare(const Cue& cue, Buffers& buffers) const {
  const VectorStore& store = memory_.context().store;
  const std::size_t dim = store.dim();
  const std::size_t padded = row_bytes(dim) / sizeof(float);
  buffers.row.resize(padded);
  encode_row(store.metric(), cue.vector, reinterpret_cast<std::byte*>(buffers.row.data()));
  recall::read_mask(cue, dim, buffers.mask);
  for (std::size_t i = 0; i < dim; ++i) {
    if (buffers.mask[i] == 0) buffers.row[i] = 0;
  }
  buffers.descent.here.state.assign(buffers.row.begin(),
                                    buffers.row.begin() + static_cast<std::ptrdiff_t>(dim));
}

Status DrdamRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                             Recall& recall) const {
  const bool is_masked = cue.visible != nullptr;
  if (is_masked && memory_.context().store.metric() == Metric::kCosine) {
    return fail(ErrorCode::kInvalidArgument,
                "how long the visible part of a unit vector is depends on what is hidden, a MASK "
                "needs METRIC l2 or dot");
  }
  auto& buffers = scratch.get<Buffers>();
  ENGRAM_TRY(read(params.items, scratch, buffers));
  recall = Recall{};
  recall.beta = memory_.trace().beta();
  if (buffers.items.slots.empty()) {
    recall.state.assign(cue.vector.begin(), cue.vector.end());
    recall.converged = true;
    return {};
  }
  prepare(cue, buffers);
  settle(cue, settings(params.options), params.top, scratch, buffers, recall);
  if (const auto usual = usual_energy(); usual && !is_masked) {
    recall.novel = recall.outside || recall.energies.front() > *usual;
  }
  return {};
}

/// Descends from the state in `buffers`, and says what it was and what it has become.
void DrdamRecaller::settle(const Cue& cue, const DescentSettings& settings, std::size_t top,
                           Scratch& scratch, Buffers& buffers, Recall& recall) const {
  const IndexContext& context = memory_.context();
  const std::size_t dim = context.store.dim();
  ItemWeights weights(context.store, *algebra_, recall.beta, buffers.items);
  if (weights.weigh(buffers.row.data(), buffers.mask.data())) {
    describe_cue(weights.support(), recall);
  }
  const FeatureEnergy energy(memory_.trace(), buffers.superposition);
  GradientDescent(energy, settings, cue, scratch, buffers.descent).run(recall);
  const auto& state = buffers.descent.here.state;
  std::transform(state.begin(), state.end(), buffers.row.begin(),
                 [](double value) { return static_cast<float>(value); });
  recall.state.assign(buffers.row.begin(), buffers.row.begin() + static_cast<std::ptrdiff_t>(dim));
  std::fill_n(buffers.mask.begin(), dim, 1.0F);
  if (!weights.weigh(buffers.row.data(), buffers.mask.data())) return;
  describe_state(weights.support(), buffers.items.slots.size(), top, recall);
  recall.distance = recall::distance_to(context, recall.state, recall.attractor->slot);
}

Result<double> DrdamRecaller::energy(std::span<const float> state, const RecallParams& params,
                                     Scratch& scratch) const {
  auto& buffers = scratch.get<Buffers>();
  ENGRAM_TRY(read(params.items, scratch, buffers));
  if (buffers.items.slots.empty()) return std::numeric_limits<double>::infinity();
  prepare({.vector = state}, buffers);
  FeatureEnergy(memory_.trace(), buffers.superposition).look(buffers.descent.here);
  return buffers.descent.here.energy;
}

Result<KernelSums> DrdamRecaller::kernel_sums(std::span<const float> vector, const SlotSet* items,
                                              Scratch& scratch) const {
  auto& buffers = scratch.get<Buffers>();
  ENGRAM_TRY(read(items, scratch, buffers));
  prepare({.vector = vector}, buffers);
  const FeatureEnergy energy(memory_.trace(), buffers.superposition);
  energy.look(buffers.descent.here);
  ItemWeights weights(memory_.context().store, *algebra_, memory_.trace().beta(), buffers.items);
  const bool has_any =
      !buffers.items.slots.empty() && weights.weigh(buffers.row.data(), buffers.mask.data());
  return KernelSums{.estimate = buffers.descent.here.kernels,
                    .exact = has_any ? weights.kernels() : 0,
                    .floor = energy.floor()};
}

Result<std::unique_ptr<Survey>> DrdamRecaller::survey(const SurveyParams& params) const {
  return std::make_unique<DrdamSurvey>(*this, memory_, memory_.among(params.items), params);
}

void DrdamRecaller::adopt(const Tuning& tuning) {
  surveyed_.adopt(tuning);
  std::optional<double> usual;
  for (const auto& [name, number] : tuning) {
    if (name == kEnergyOfItems && std::isfinite(number)) usual = number;
  }
  const std::lock_guard lock(mutex_);
  usual_energy_ = usual;
}

std::optional<double> DrdamRecaller::usual_energy() const {
  const std::lock_guard lock(mutex_);
  return usual_energy_;
}

std::vector<Fact> DrdamRecaller::describe() const {
  const RandomFeatures& features = memory_.trace();
  const std::size_t items = memory_.held().size();
  const double numbers = static_cast<double>(items) * static_cast<double>(features.dim());
  std::vector<Fact> facts = {
      {"load", number_text(numbers / static_cast<double>(features.count()))}};
  for (Fact& fact : surveyed_.describe(items)) facts.push_back(std::move(fact));
  if (const auto usual = usual_energy()) {
    facts.push_back({std::string(kEnergyOfItems), number_text(*usual)});
  }
  return facts;
}

}  // namespace engram::drdam
