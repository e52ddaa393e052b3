// SPDX-License-Identifier: Apache-2.0
// Surveys of an index of find_recalling_index(): to find the numbers that it recalls by, or to
// describe how it recalls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "core/result.h"
#include "server/filters/filter.h"
#include "server/requests/arguments.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

struct SurveyRequest {
  IndexRef index;
  std::size_t sample = SurveyParams{}.sample;  ///< items to look at
  std::uint64_t seed = SurveyParams{}.seed;    ///< draws them
  std::optional<Options> options =
      {};  ///< of Primitive::recall_options; none: as the index was made
  std::shared_ptr<const Filter> filter = {};  ///< of a diagnosis: of the items that meet it
};
struct TuneRequest : SurveyRequest {};
struct DiagnoseRequest : SurveyRequest {};

/// Takes SAMPLE, SEED and the primitive's recall options by name, and for a diagnosis FILTER.
/// Errors: kInvalidArgument.
Status read_options(std::vector<OptionText> options, TuneRequest& request);
Status read_options(std::vector<OptionText> options, DiagnoseRequest& request);

/// Has the index recall by what the survey finds, from now on and after a restart, and answers
/// that. Errors: kInvalidArgument; those of Collection::survey() and tune().
///
/// What is found is a change that begins when the survey ends: it waits until no transaction is
/// open, unless the request is a step of the one that was open when it was started.
void start(Store& store, TuneRequest request, Responder<Tuning> responder);

/// Answers what the survey saw, on the loop. Errors: as for TuneRequest.
void start(Store& store, DiagnoseRequest request, Responder<std::vector<Fact>> responder);

}  // namespace engram
