// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/python_recaller.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "core/bound.h"
#include "core/exact_scan.h"
#include "core/row.h"
#include "server/hosts/python/conversions.h"
#include "server/hosts/python/memory.h"
#include "server/hosts/python/python_call.h"

namespace engram::python {
namespace {

/// bool [dim], or None where all is known.
py::object known_of(const Cue& cue) {
  if (cue.visible == nullptr) return py::none();
  py::array_t<bool> known(static_cast<py::ssize_t>(cue.vector.size()));
  std::fill_n(known.mutable_data(), cue.vector.size(), false);
  for (const CoordinateRange& range : *cue.visible) {
    std::fill(known.mutable_data() + range.begin, known.mutable_data() + range.end, true);
  }
  return known;
}

std::optional<Hit> nearest_to(std::span<const float> vector, const IndexContext& context,
                              const SlotSet& items) {
  AlignedBuffer buffer;
  std::vector<Hit> hits;
  scan_nearest(Bound(context.kernel, context.kernel.prepare(vector, buffer), context.store), items,
               1, hits);
  if (hits.empty()) return std::nullopt;
  return hits.front();
}

}  // namespace

Status PythonRecaller::recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                              Recall& recall) const {
  const SlotSet& items = params.items == nullptr ? held_ : *params.items;
  recall = {};
  recall.state.assign(cue.vector.begin(), cue.vector.end());
  recall.converged = true;
  const auto onestep = nearest_to(cue.vector, context_, items);
  if (!onestep) return {};
  ENGRAM_TRY(make_state(cue, recall));
  recall.steps = 1;
  const Hit attractor = *nearest_to(recall.state, context_, items);
  recall.attractor = Share{attractor.slot, 1};
  recall.distance = score_to_distance(context_.store.metric(), attractor.score);
  recall.onestep = Share{onestep->slot, 1};
  recall.kind = RecallKind::kPattern;
  recall.effective_count = 1;
  if (params.top > 0) recall.support = {*recall.attractor};
  if (!declaration_.has_energy || cue.visible != nullptr) return {};
  for (const std::span<const float> state : {cue.vector, std::span<const float>(recall.state)}) {
    const auto energy = this->energy(state, params, scratch);
    if (!energy) return tl::unexpected(energy.error());
    recall.energies.push_back(*energy);
  }
  return {};
}

Status PythonRecaller::make_state(const Cue& cue, Recall& recall) const {
  return call_python(declaration_.name, [&]() -> Status {
    const py::array vector = read_only(array_of<float>(cue.vector));
    const Rows state(instance_.attr("recall")(vector, known_of(cue)));
    const auto components = state.single();
    if (components.size() != cue.vector.size()) {
      return fail(ErrorCode::kInvalidArgument, "primitive '" + declaration_.name + "' recalled " +
                                                   std::to_string(components.size()) +
                                                   " dimensions of " +
                                                   std::to_string(cue.vector.size()));
    }
    ENGRAM_TRY(check_vector(components));
    recall.state.assign(components.begin(), components.end());
    return {};
  });
}

Result<double> PythonRecaller::energy(std::span<const float> state, const RecallParams& /*params*/,
                                      Scratch& /*scratch*/) const {
  if (!declaration_.has_energy) {
    return fail(ErrorCode::kUnsupported, "primitive '" + declaration_.name + "' has no energy");
  }
  double energy = 0;
  ENGRAM_TRY(call_python(declaration_.name, [&]() -> Status {
    energy = py::float_(instance_.attr("energy")(read_only(array_of<float>(state))));
    if (!std::isnan(energy)) return {};
    return fail(ErrorCode::kInvalidArgument,
                "primitive '" + declaration_.name + "' has an energy that is no number");
  }));
  return energy;
}

Result<std::unique_ptr<Survey>> PythonRecaller::survey(const SurveyParams& /*params*/) const {
  return fail(ErrorCode::kUnsupported,
              "primitive '" + declaration_.name + "' has nothing to tune or to diagnose");
}

}  // namespace engram::python
