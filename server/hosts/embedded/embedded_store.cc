// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/embedded_store.h"

#include <algorithm>
#include <memory>
#include <type_traits>

#include "core/text.h"
#include "server/hosts/embedded/store_thread.h"
#include "server/requests/attributes.h"
#include "server/requests/forget.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"
#include "server/requests/put.h"
#include "server/requests/recall.h"
#include "server/requests/reinforcement.h"
#include "server/requests/search.h"
#include "server/requests/snapshot.h"
#include "server/requests/survey.h"

namespace engram {
namespace {

using Match = EmbeddedStore::Match;
using OptionList = EmbeddedStore::OptionList;
using Recollection = EmbeddedStore::Recollection;

constexpr auto kRead = CommandKind::kRead;
constexpr auto kWrite = CommandKind::kWrite;

/// Of a search or a recall.
CommandKind kind_of(const OptionList& options) {
  const bool touches = std::any_of(options.begin(), options.end(), [](const OptionText& option) {
    return equal_ignoring_case(option.first, "TOUCH");
  });
  return touches ? CommandKind::kUpdate : kRead;
}

/// What `ask(Store&)` returns, a Result or a Status, asked on the store's thread.
template <class Ask>
std::invoke_result_t<Ask, Store&> answer_at_once(StoreThread& thread, CommandKind kind, Ask ask) {
  std::invoke_result_t<Ask, Store&> answer;
  ENGRAM_TRY(thread.call(kind, [&](Store& store, Deferred reply) {
    answer = ask(store);
    reply.reply_rendered({});
  }));
  return answer;
}

/// What `copy(given, answer)` makes of what the request that `begin(Store&, Responder)` starts is
/// answered with. If begin() fails nothing was started. `kind`: a CommandKind, or what
/// StoreThread::call() asks for it.
template <class Answer, class Given, class Kind, class Begin, class Copy>
Result<Answer> answer_later(StoreThread& thread, Kind kind, Begin begin, Copy copy) {
  Result<Answer> answer;
  ENGRAM_TRY(thread.call(kind, [&](Store& store, Deferred reply) {
    const auto promise = std::make_shared<Deferred>(std::move(reply));
    const Responder<Given> responder = {.take =
                                            [&answer, &copy](const Result<Given>& given) {
                                              if (!given) {
                                                answer = tl::unexpected(given.error());
                                              } else {
                                                copy(*given, answer);
                                              }
                                            },
                                        .finish =
                                            [promise](Lsn lsn) {
                                              if (lsn != 0) promise->hold(lsn);
                                              promise->reply_rendered({});
                                            }};
    if (const Status begun = begin(store, responder); !begun) responder.refuse(begun.error());
  }));
  return answer;
}

/// The same where what is given is the answer.
template <class Answer, class Begin>
Result<Answer> answer_later(StoreThread& thread, CommandKind kind, Begin begin) {
  return answer_later<Answer, Answer>(
      thread, kind, begin, [](const Answer& given, Result<Answer>& answer) { answer = given; });
}

/// Begins what `read(Request&)` makes of a request about an index.
template <class Request, class Given, class Read>
Status begin_on(Store& store, Result<IndexRef> index, const Responder<Given>& responder,
                Read read) {
  if (!index) return tl::unexpected(std::move(index.error()));
  Request request = {};
  request.index = std::move(*index);
  ENGRAM_TRY(read(request));
  start(store, std::move(request), responder);
  return {};
}

/// To no items, or no queries: an empty answer, if there is such an index.
template <class Answer>
Result<Answer> answer_to_nothing(StoreThread& thread, std::string_view index) {
  return answer_at_once(thread, kRead, [&](Store& store) -> Result<Answer> {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    return Answer{};
  });
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

EmbeddedStore::EmbeddedStore(std::unique_ptr<StoreThread> thread) : thread_(std::move(thread)) {}

EmbeddedStore::~EmbeddedStore() = default;

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(const Settings& settings) {
  auto thread = StoreThread::start(settings.store, settings.snapshots);
  if (!thread) return tl::unexpected(std::move(thread.error()));
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(*thread)));
}

Status EmbeddedStore::create_index(std::string_view index, std::size_t dim,
                                   const OptionList& options) {
  return answer_at_once(*thread_, kWrite, [&](Store& store) -> Status {
    NewIndexRequest request{.name = index, .dim = dim};
    ENGRAM_TRY(read_options(options, request));
    return engram::create_index(store, request);
  });
}

Status EmbeddedStore::drop_index(std::string_view index) {
  return answer_at_once(*thread_, kWrite,
                        [&](Store& store) { return engram::drop_index(store, index); });
}

Result<std::vector<std::string>> EmbeddedStore::list_indexes() {
  return answer_at_once(*thread_, kRead, [](Store& store) -> Result<std::vector<std::string>> {
    return engram::list_indexes(store);
  });
}

Result<std::vector<Fact>> EmbeddedStore::describe_index(std::string_view index) {
  return answer_later<std::vector<Fact>>(*thread_, kRead, [&](Store& store, const auto& responder) {
    return begin_on<InfoRequest>(store, find_index(store, index), responder,
                                 [](InfoRequest&) { return Status(); });
  });
}

Result<bool> EmbeddedStore::put(std::string_view index, std::string_view key,
                                std::span<const float> vector, const OptionList& options) {
  const Item item = {key, vector};
  const auto added = put(index, std::span(&item, 1), options);
  if (!added) return tl::unexpected(added.error());
  return *added == 1;
}

Result<std::size_t> EmbeddedStore::put(std::string_view index, std::span<const Item> items,
                                       const OptionList& options) {
  if (items.empty()) return answer_to_nothing<std::size_t>(*thread_, index);
  const auto begin = [&](Store& store, const Responder<std::size_t>& responder) -> Status {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    PutRequest request(std::move(*found));
    request.reserve(items.size());
    for (const Item& item : items) ENGRAM_TRY(request.add(item.key, item.vector));
    ENGRAM_TRY(read_options(options, request));
    start(store, request, responder);
    return {};
  };
  return answer_later<std::size_t>(*thread_, kWrite, begin);
}

Result<std::optional<std::string>> EmbeddedStore::put_unless(std::string_view index,
                                                             std::string_view key,
                                                             std::span<const float> vector,
                                                             float within,
                                                             const OptionList& options) {
  OptionList all = options;
  const std::string condition = "WITHIN " + number_text(within);
  all.emplace_back("UNLESS", condition);
  const auto begin = [&](Store& store, const Responder<Admission>& responder) -> Status {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    PutRequest request(std::move(*found));
    ENGRAM_TRY(request.add(key, vector));
    ENGRAM_TRY(read_options(all, request));
    start(store, request, responder);
    return {};
  };
  return answer_later<std::optional<std::string>, Admission>(
      *thread_, CommandKind::kConditional, begin,
      [](const Admission& given, auto& answer) { answer = given.near; });
}

Result<std::vector<std::optional<double>>> EmbeddedStore::touch(
    std::string_view index, std::span<const std::string_view> keys, const OptionList& options) {
  using Touched = std::vector<std::optional<double>>;
  return answer_at_once(*thread_, kWrite, [&](Store& store) -> Result<Touched> {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    TouchRequest request = {.index = std::move(*found), .keys = {keys.begin(), keys.end()}};
    ENGRAM_TRY(read_options(options, request));
    return engram::touch(store, request);
  });
}

Result<bool> EmbeddedStore::set_attributes(std::string_view index, std::string_view key,
                                           std::string_view attributes) {
  return answer_at_once(*thread_, kWrite, [&](Store& store) {
    return engram::set_attributes(store, {.index = index, .key = key, .attributes = attributes});
  });
}

Result<std::optional<std::string>> EmbeddedStore::attributes(std::string_view index,
                                                             std::string_view key) {
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<std::optional<std::string>> {
    const auto text = get_attributes(store, index, key);
    if (!text) return tl::unexpected(text.error());
    return *text ? std::optional(std::string(**text)) : std::nullopt;
  });
}

Result<std::optional<StrengthAnswer>> EmbeddedStore::strength(std::string_view index,
                                                              std::string_view key,
                                                              const OptionList& options) {
  using Answer = std::optional<StrengthAnswer>;
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<Answer> {
    auto found = find_index(store, index, Missing::kGone);
    if (!found) return tl::unexpected(std::move(found.error()));
    StrengthRequest request = {.index = std::move(*found), .key = key};
    ENGRAM_TRY(read_options(options, request));
    return strength_of(store, request);
  });
}

Result<std::vector<std::string>> EmbeddedStore::forget(std::string_view index, double below,
                                                       const OptionList& options, bool is_dry_run) {
  OptionList all = options;
  const std::string strength = number_text(below);
  all.emplace_back("BELOW", strength);
  const auto begin = [&](Store& store, const Responder<std::vector<WeakItem>>& responder) {
    return begin_on<ForgetRequest>(store, find_index(store, index, Missing::kGone), responder,
                                   [&](ForgetRequest& request) {
                                     request.is_dry_run = is_dry_run;
                                     return read_options(all, request);
                                   });
  };
  return answer_later<std::vector<std::string>, std::vector<WeakItem>>(
      *thread_, is_dry_run ? kRead : CommandKind::kUpdate, begin,
      [](const std::vector<WeakItem>& given, auto& answer) {
        answer.emplace();
        for (const WeakItem& item : given) answer->push_back(item.key);
      });
}

Result<bool> EmbeddedStore::erase(std::string_view index, std::string_view key) {
  return answer_later<bool>(*thread_, kWrite, [&](Store& store, const auto& responder) {
    return begin_on<EraseRequest>(store, find_index(store, index), responder,
                                  [&](EraseRequest& request) {
                                    request.key = key;
                                    return Status();
                                  });
  });
}

Result<std::optional<std::vector<float>>> EmbeddedStore::get(std::string_view index,
                                                             std::string_view key) {
  return answer_at_once(*thread_, kRead,
                        [&](Store& store) { return get_vector(store, index, key); });
}

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
                                                                    std::span<const float> queries,
                                                                    std::size_t k,
                                                                    const OptionList& options) {
  using Matches = std::vector<std::vector<Match>>;
  if (queries.empty()) return answer_to_nothing<Matches>(*thread_, index);
  Matches matches;  // filled by several workers at once, each its own part
  const auto begin = [&](Store& store, const Responder<SearchAnswer>& responder) {
    return begin_on<SearchRequest>(store, find_index(store, index), responder,
                                   [&](SearchRequest& request) -> Status {
                                     const std::size_t dim = request.index.spec().dim;
                                     for (std::span<const float> rest = queries; !rest.empty();) {
                                       const auto query = rest.first(std::min(dim, rest.size()));
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

Status EmbeddedStore::save(const std::string& directory) {
  Status outcome;
  ENGRAM_TRY(thread_->call(CommandKind::kNeutral, [&](Store& store, Deferred reply) {
    const auto promise = std::make_shared<Deferred>(std::move(reply));
    const Responder<void> responder = {.take = [&outcome](const Status& saved) { outcome = saved; },
                                       .finish = [promise](Lsn) { promise->reply_rendered({}); }};
    if (const Status begun = start_snapshot(store, responder, directory); !begun) {
      responder.refuse(begun.error());
    }
  }));
  return outcome;
}

Status EmbeddedStore::close() {
  return thread_->close();
}

}  // namespace engram
