// SPDX-License-Identifier: Apache-2.0
// How a primitive recalls whose recall() is Python's.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <span>
#include <vector>

#include "core/index.h"
#include "core/recall.h"
#include "server/hosts/python/python_index.h"

namespace engram::python {

/// Python makes the state. The item nearest to it is the attractor, with a weight of 1: what a
/// state is made of, Python does not say. RecallParams::items are those that may be named. Threads:
/// as Recaller says; methods of Python take the GIL.
class PythonRecaller final : public Recaller {
 public:
  /// All outlive it.
  PythonRecaller(const Declaration& declaration, const IndexContext& context, const SlotSet& held,
                 const pybind11::object& instance)
      : declaration_(declaration), context_(context), held_(held), instance_(instance) {}

  /// Errors: what Python raises; kInvalidArgument for what is no state.
  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& scratch) const override;
  /// Errors: kUnsupported; there is nothing to tune.
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& /*tuning*/) override {}
  std::vector<Fact> describe() const override { return {}; }

 private:
  Status make_state(const Cue& cue, Recall& recall) const;

  const Declaration& declaration_;
  const IndexContext& context_;
  const SlotSet& held_;
  const pybind11::object& instance_;
};

}  // namespace engram::python
