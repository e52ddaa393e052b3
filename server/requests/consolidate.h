// SPDX-License-Identifier: Apache-2.0
// Items of an index that lie near each other become one, in it or in another index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/options.h"
#include "core/result.h"
#include "server/engine/consolidation.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

struct ConsolidateRequest {
  IndexRef index;
  ConsolidationParams params = {};
  std::optional<IndexRef> into = {};       ///< takes the prototypes; none: the index itself
  std::optional<std::int64_t> at_ms = {};  ///< of strengths, and of the write
  bool is_dry = false;                     ///< only tells
};

/// Takes RADIUS, METHOD, K, SEED, KEEP, INTO, REPLAY, BY, WALK, TEMPERATURE, MINSIZE, AT and LIMIT
/// by name. Errors: kInvalidArgument; those of find_index() for INTO.
Status read_options(Store& store, std::vector<OptionText> options, ConsolidateRequest& request);

/// A group that became one item, or would. Keys are borrowed.
struct ConsolidatedGroup {
  std::string_view key;  ///< of the one
  double strength;       ///< the sum of the members', as of the request's time
  double radius;         ///< the most that a member has to the mean, or to the medoid
  double variance;       ///< the weighted mean of squared distances to the mean
  std::vector<std::string_view> members;  ///< the strongest first
};

/// What replacing sums by single terms does to F / beta of any state q, where F = ln sum s e^(beta
/// similarity) before, minus after. COMMANDS.md says what the upper bound is to be multiplied by.
struct LandscapeBounds {
  double lower;
  double upper;
};

struct ConsolidateAnswer {
  std::size_t items;    ///< that there were
  std::size_t members;  ///< of the groups
  std::size_t dropped;  ///< groups that were left alone, because a member had changed
  double beta;
  std::optional<LandscapeBounds> bounds;  ///< of a mean; none for a medoid
  std::vector<ConsolidatedGroup> groups;
};

/// Errors: kInvalidArgument, kAlreadyExists while the index is being consolidated, kNotFound if it
/// is dropped meanwhile, kDataLoss, kResourceExhausted, and those of the journal; then the groups
/// that were written stay written.
///
/// Each group is a write that begins when no transaction is open.
void start(Store& store, ConsolidateRequest request, Responder<ConsolidateAnswer> responder);

}  // namespace engram
