// SPDX-License-Identifier: Apache-2.0
// Recalling: what the memory makes of a cue, and how well a state fits it. Both need an index of
// find_recalling_index().
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/abandonment.h"
#include "core/options.h"
#include "core/recall.h"
#include "core/result.h"
#include "server/filters/filter.h"
#include "server/requests/answer_size.h"
#include "server/requests/arguments.h"
#include "server/requests/checked_vectors.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"
#include "server/requests/strength.h"

namespace engram {

struct RecallRequest {
  IndexRef index;
  CheckedVectors cue = {};  ///< one
  /// The coordinates of the cue that are known, in any order; nothing: all are.
  std::optional<std::vector<CoordinateRange>> visible = {};
  std::size_t top = RecallParams{}.top;  ///< items of the support to name
  std::optional<Options> options =
      {};  ///< of Primitive::recall_options; none: as the index was made
  /// Fields are told of the support. What is touched is the attractor, or what the index's
  /// Reinforce says.
  StrengthRead strength = {};
  std::shared_ptr<const Filter> filter = {};  ///< recalls by the items that meet it; null: by all
  /// Recall::mean is wanted: this recall is a part of one, so nothing is touched. Errors:
  /// kUnsupported where the energy is not of that form.
  bool with_mean = false;
  /// An answer of more bytes is refused, and nothing is touched.
  std::size_t most_bytes = kMostAnswerBytes;
  Abandonment abandonment = {};  ///< what is abandoned touches nothing
};

/// Takes as the cue what the index holds under `key`. Errors: kNotFound.
Status read_stored_cue(std::string_view key, RecallRequest& request);

/// Takes MASK, TOP, FILTER, AT, TOUCH and the primitive's recall options by name. Errors:
/// kInvalidArgument.
Status read_options(std::vector<OptionText> options, RecallRequest& request);

/// About what the answer will hold, and what the cue takes meanwhile.
std::size_t expected_bytes(const RecallRequest& request);

/// A Recall with the names of its items.
struct RecallAnswer {
  const Recall& recall;
  std::optional<std::string_view> attractor;  ///< the key of recall.attractor
  std::optional<std::string_view> onestep;    ///< the key of recall.onestep
  std::vector<std::string_view> support;      ///< the keys of recall.support
  // Of those, if asked for.
  std::vector<float> raw = {};  ///< how far they lie from the state, in the metric
  std::vector<double> strengths = {};
};

/// Errors: kInvalidArgument; those of Collection::recall and Recaller::recall; kUnavailable if it
/// was abandoned.
void start(Store& store, RecallRequest request, Responder<RecallAnswer> responder);

struct EnergyRequest {
  IndexRef index;
  CheckedVectors state = {};                  ///< one
  std::optional<Options> options = {};        ///< as RecallRequest::options
  StrengthRead strength = {};                 ///< only the time
  std::shared_ptr<const Filter> filter = {};  ///< null: that of all items
};

/// Takes FILTER, AT and the primitive's recall options by name. Errors: kInvalidArgument.
Status read_options(std::vector<OptionText> options, EnergyRequest& request);

/// About what the answer and the state take.
std::size_t expected_bytes(const EnergyRequest& request);

/// Answers the energy of the state. Errors: kInvalidArgument; those of Collection::recall and
/// Recaller::energy.
void start(Store& store, EnergyRequest request, Responder<double> responder);

}  // namespace engram
