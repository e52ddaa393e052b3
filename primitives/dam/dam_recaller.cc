// SPDX-License-Identifier: Apache-2.0
#include "primitives/dam/dam_recaller.h"

#include <limits>

#include "core/option_reading.h"

namespace engram::dam {
namespace {

struct DamBuffers {
  recall::SignBuffers signs;
  DenseBuffers dense;
};

}  // namespace

DamSettings read_settings(const Options& options, DamSettings settings) {
  read_choice(options, "SHAPE", kShapeNames, settings.interaction.shape);
  if (options.given("POWER")) {
    settings.interaction.power = static_cast<double>(options.integer("POWER"));
  }
  read_count(options, "STEPS", settings.steps);
  return settings;
}

DamSettings DamRecaller::settings(const Options* options) const {
  return options == nullptr ? defaults_ : read_settings(*options, defaults_);
}

const SlotSet& DamRecaller::items(const SlotSet* among) const {
  return among == nullptr ? memory_.held : *among;
}

Status DamRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                           Recall& recall) const {
  const DamSettings settings = this->settings(params.options);
  const VectorStore& store = memory_.context.store;
  auto& buffers = scratch.get<DamBuffers>();
  buffers.signs.items.read(store, items(params.items));
  DenseDynamics dynamics(settings.interaction, buffers.signs.items, store.dim(), buffers.dense);
  recall_signs(memory_.context, cue, settings.steps, params.top, dynamics, scratch, buffers.signs,
               recall);
  return {};
}

Result<double> DamRecaller::energy(std::span<const float> state, const RecallParams& params,
                                   Scratch& scratch) const {
  const DamSettings settings = this->settings(params.options);
  const VectorStore& store = memory_.context.store;
  auto& buffers = scratch.get<DamBuffers>();
  buffers.signs.items.read(store, items(params.items));
  if (buffers.signs.items.count() == 0) return std::numeric_limits<double>::infinity();
  DenseDynamics dynamics(settings.interaction, buffers.signs.items, store.dim(), buffers.dense);
  return *dynamics.energy(recall::SignState({.vector = state}, store.dim()));
}

Result<std::unique_ptr<Survey>> DamRecaller::survey(const SurveyParams& params) const {
  return std::make_unique<recall::ItemSurvey>(*this, memory_.context.store, items(params.items),
                                              params);
}

std::vector<Fact> DamRecaller::describe() const {
  return surveyed_.describe(memory_.held.size());
}

}  // namespace engram::dam
