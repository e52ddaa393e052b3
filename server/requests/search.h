// SPDX-License-Identifier: Apache-2.0
// Searching: the keys nearest to each of some queries.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/abandonment.h"
#include "core/options.h"
#include "core/result.h"
#include "server/engine/query_plan.h"
#include "server/requests/arguments.h"
#include "server/requests/checked_vectors.h"
#include "server/requests/index_ref.h"
#include "server/requests/query_filters.h"
#include "server/requests/responder.h"
#include "server/requests/strength.h"

namespace engram {

inline constexpr CountArgument kNeighborCount = {"k", 1, kMaxSlots};

struct SearchRequest {
  IndexRef index;
  CheckedVectors queries = {};
  std::size_t k = 10;  ///< kNeighborCount
  /// Answers only what has a distance of at most this; 0 or more under l2 and cosine. None: any.
  std::optional<float> radius = {};
  std::size_t ef = 0;  ///< candidates to keep while looking; 0: the index's own default
  /// What share of the true nearest the index is to choose ef for, above 0 and at most 1; none: ef
  /// is given.
  std::optional<double> wanted_recall = {};
  std::size_t steps = 0;                ///< updates of recall that each query goes through first
  std::optional<Options> options = {};  ///< of Primitive::search_options; none: the defaults
  /// Looks at every item, whatever the primitive: the answer is exact, as far as what is kept of
  /// the vectors is. Not with `steps`.
  bool truth = false;
  /// How those steps are taken: of Primitive::recall_options; none: as the index was made.
  std::optional<Options> recall = {};
  StrengthRead strength = {};
  std::vector<QueryFilter> filters = {};  ///< ascending; empty: no query has one
  std::size_t filter_ef = 0;              ///< nodes that a walk among what matches visits; 0: any
  bool explains = false;                  ///< the answer has reports, where a query has no filter
                                          ///< only if it is the only one
  Abandonment abandonment = {};           ///< not with StrengthRead::touch
};

/// Takes RADIUS, EF, RECALL, STEPS, AT, TOUCH, FILTER, FILTER-EF and the primitive's search options
/// by name; with STEPS its recall options, too, where a search has none of that name. Errors:
/// kInvalidArgument.
Status read_options(std::vector<OptionText> options, SearchRequest& request);

/// Whether a search of that index has an option of that name. Errors: kInvalidArgument, with the
/// names of those that it has.
Status check_search_option(const IndexRef& index, std::string_view name);

/// Refuses to name `k` neighbors for each of `queries` queries if they are too many for one answer.
/// start() asks this, too; a door may before it reads the queries.
Status check_neighbor_count(const IndexRef& index, std::size_t queries, std::size_t k);

/// How many queries it has.
std::size_t query_count(const SearchRequest& request);

/// About what the answer will hold, and what the queries take meanwhile.
std::size_t expected_bytes(const SearchRequest& request);

/// The neighbors of some of the queries, one after the other.
struct SearchAnswer {
  std::size_t first;  ///< the query that neighbors[0] is of
  std::span<const std::vector<Neighbor>> neighbors;
  /// Of each of them, if it was asked for or there is a filter; else empty.
  std::span<const SearchReport> reports = {};
  /// Those that matched the filter, if the request explains.
  std::size_t matches = 0;
  const ReadView* view = nullptr;  ///< has the rows of neighbors; never null in an answer
};

/// How fast the parts of a batch are wanted, on the loop. Left out: all as soon as they are there.
struct PartFlow {
  /// take() has had the part of `count` queries that begins with `first`.
  std::function<void(std::size_t first, std::size_t count)> ended = {};
  /// Whether another part may begin. If not, `resume` is called when it may, later; or destroyed,
  /// and then nobody wants the rest.
  std::function<bool(std::function<void()> resume)> admits = {};
};

/// Searches on all workers: a large batch is answered in parts, in any order, so that take() is
/// called for each, perhaps on several workers at once. An error comes once, on the loop, and makes
/// the parts void. With StrengthRead::touch what was answered is touched before finish(), for each
/// query that it answers. Errors: kInvalidArgument; those of Index::search and Recaller::recall;
/// kUnavailable if it was abandoned.
void start(Store& store, SearchRequest request, Responder<SearchAnswer> responder,
           PartFlow flow = {});

}  // namespace engram
