// SPDX-License-Identifier: Apache-2.0
// What an EmbeddedStore looks for: searches, recalls, surveys.
#include <algorithm>
#include <memory>

#include "core/text.h"
#include "server/hosts/embedded/asking.h"
#include "server/hosts/embedded/embedded_store.h"
#include "server/requests/recall.h"
#include "server/requests/reinforcement.h"
#include "server/requests/search.h"
#include "server/requests/survey.h"

namespace engram {

namespace {

using embedded::answer_later;
using embedded::answer_to_nothing;
using embedded::begin_on;
using embedded::kRead;
using embedded::kWrite;
using Match = EmbeddedStore::Match;
using OptionList = EmbeddedStore::OptionList;
using Recollection = EmbeddedStore::Recollection;

/// Of a search or a recall.
CommandKind kind_of(const OptionList& options) {
  const bool touches = std::any_of(options.begin(), options.end(), [](const OptionText& option) {
    return equal_ignoring_case(option.first, "TOUCH");
  });
  return touches ? CommandKind::kUpdate : kRead;
}

std::vector<Match> owned(const std::vector<Neighbor>& neighbors) {
  std::vector<Match> matches;
  matches.reserve(neighbors.size());
  for (const Neighbor& neighbor : neighbors) {
    matches.push_back({std::string(neighbor.key), neighbor.distance});
  }
  return matches;
}

Recollection owned(const RecallAnswer& given) {
  Recollection recollection = {.recall = given.recall,
                               .attractor = {},
                               .onestep = {},
                               .support = {given.support.begin(), given.support.end()}};
  if (given.attractor) recollection.attractor = *given.attractor;
  if (given.onestep) recollection.onestep = *given.onestep;
  return recollection;
}

}  // namespace

Result<std::vector<Match>> EmbeddedStore::search(std::string_view index,
                                                 std::span<const float> query, std::size_t k,
                                                 const OptionList& options) {
  const auto begin = [&](Store& store, const Responder<SearchAnswer>& responder) {
    return begin_on<SearchRequest>(store, find_index(store, index), responder,
                                   [&](SearchRequest& request) -> Status {
                                     ENGRAM_TRY(request.queries.add(request.index, query));
                                     request.k = k;
                                     return read_options(options, request);
                                   });
  };
  return answer_later<std::vector<Match>, SearchAnswer>(
      *thread_, kind_of(options), begin,
      [](const SearchAnswer& given, auto& answer) { answer = owned(given.neighbors.front()); });
}

Result<std::vector<std::vector<Match>>> EmbeddedStore::search_batch(std::string_view index,
                                                                    const Queries& queries,
                                                                    std::size_t k,
                                                                    const OptionList& options) {
  using Matches = std::vector<std::vector<Match>>;
  if (queries.values.empty()) return answer_to_nothing<Matches>(*thread_, index);
  Matches matches;  // filled by several workers at once, each its own part
  const auto begin = [&](Store& store, const Responder<SearchAnswer>& responder) {
    return begin_on<SearchRequest>(store, find_index(store, index), responder,
                                   [&](SearchRequest& request) -> Status {
                                     for (auto rest = queries.values; !rest.empty();) {
                                       const auto query = rest.first(queries.size);
                                       ENGRAM_TRY(request.queries.add(request.index, query));
                                       rest = rest.subspan(query.size());
                                     }
                                     matches.resize(query_count(request));
                                     request.k = k;
                                     return read_options(options, request);
                                   });
  };
  const auto answered = answer_later<bool, SearchAnswer>(
      *thread_, kind_of(options), begin, [&matches](const SearchAnswer& given, auto&) {
        for (std::size_t i = 0; i < given.neighbors.size(); ++i) {
          matches[given.first + i] = owned(given.neighbors[i]);
        }
      });
  if (!answered) return tl::unexpected(answered.error());
  return matches;
}

Result<Recollection> EmbeddedStore::recall(std::string_view index, std::span<const float> cue,
                                           const OptionList& options) {
  const auto begin = [&](Store& store, const Responder<RecallAnswer>& responder) {
    return begin_on<RecallRequest>(store, find_recalling_index(store, index), responder,
                                   [&](RecallRequest& request) -> Status {
                                     ENGRAM_TRY(request.cue.add(request.index, cue));
                                     return read_options(options, request);
                                   });
  };
  const auto kind = [&](Store& store) {
    return reinforces(store, index) ? CommandKind::kUpdate : kind_of(options);
  };
  return answer_later<Recollection, RecallAnswer>(
      *thread_, kind, begin,
      [](const RecallAnswer& given, auto& answer) { answer = owned(given); });
}

Result<double> EmbeddedStore::energy(std::string_view index, std::span<const float> state,
                                     const OptionList& options) {
  return answer_later<double>(*thread_, kRead, [&](Store& store, const auto& responder) {
    return begin_on<EnergyRequest>(store, find_recalling_index(store, index), responder,
                                   [&](EnergyRequest& request) -> Status {
                                     ENGRAM_TRY(request.state.add(request.index, state));
                                     return read_options(options, request);
                                   });
  });
}

Result<Tuning> EmbeddedStore::tune(std::string_view index, const OptionList& options) {
  return answer_later<Tuning>(*thread_, kWrite, [&](Store& store, const auto& responder) {
    return begin_on<TuneRequest>(
        store, find_recalling_index(store, index), responder,
        [&](TuneRequest& request) { return read_options(options, request); });
  });
}

Result<std::vector<Fact>> EmbeddedStore::diagnose(std::string_view index,
                                                  const OptionList& options) {
  return answer_later<std::vector<Fact>>(*thread_, kRead, [&](Store& store, const auto& responder) {
    return begin_on<DiagnoseRequest>(
        store, find_recalling_index(store, index), responder,
        [&](DiagnoseRequest& request) { return read_options(options, request); });
  });
}

}  // namespace engram
