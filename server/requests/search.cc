// SPDX-License-Identifier: Apache-2.0
#include "server/requests/search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/engine/effort.h"
#include "server/requests/answer_size.h"
#include "server/requests/filter.h"
#include "server/requests/keys.h"
#include "server/requests/shown.h"
#include "server/requests/wanted_recall.h"

namespace engram {
namespace {

constexpr CountArgument kEf = {"EF", 1, kMaxSlots};
constexpr CountArgument kSteps = {"STEPS", 0, 10'000};
constexpr CountArgument kFilterEf = {"FILTER-EF", 1, kMaxSlots};
constexpr std::string_view kCursor = "CURSOR";
constexpr std::string_view kRadius = "RADIUS";
constexpr std::array<std::string_view, 12> kNames = {
    kEf.name,       kSteps.name, kWantedRecall, kCursor, kRadius,   "FILTER",
    kFilterEf.name, "EXPLAIN",   "AT",          "TOUCH", "WITHRAW", "WITHSTRENGTH"};

/// The options that every primitive's searches have: those of strength only where there is any.
std::span<const std::string_view> names_of(const IndexRef& index) {
  return std::span(kNames).first(index.collection->has_strengths() ? kNames.size() : 8);
}

std::size_t neighbor_count(const IndexRef& index, std::size_t queries, std::size_t k) {
  return queries * std::min(k, index.collection->size());
}

/// How to recall before the search; nothing if it is not asked for.
Result<std::optional<Options>> relaxation_of(const SearchRequest& request) {
  ENGRAM_TRY(kSteps.check(request.steps));
  if (request.steps == 0) return std::nullopt;
  const Primitive& primitive = *request.index.spec().primitive;
  if (!primitive.traits.recalls) {
    return fail(ErrorCode::kInvalidArgument, "STEPS needs a primitive that recalls, " +
                                                 std::string(primitive.name) + " does not");
  }
  const std::string steps = std::to_string(request.steps);
  std::vector<OptionText> words{{kSteps.name, steps}};
  std::vector<std::string> texts(request.recall ? primitive.recall_options.size() : 0);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string_view name = primitive.recall_options[i].name;
    if (name == kSteps.name || !request.recall->given(name)) continue;
    texts[i] = request.recall->text(i);
    words.emplace_back(name, texts[i]);
  }
  return read_schema(primitive.recall_options, words);
}

/// Takes from `options` those of recall alone.
Status take_recall_options(std::vector<OptionText>& options, SearchRequest& request) {
  const Primitive& primitive = *request.index.spec().primitive;
  const auto end =
      std::stable_partition(options.begin(), options.end(), [&](const OptionText& option) {
        return std::any_of(kNames.begin(), kNames.end(),
                           [&](std::string_view name) {
                             return equal_ignoring_case(option.first, name);
                           }) ||
               is_among(primitive.search_options, option.first) ||
               !is_among(primitive.recall_options, option.first);
      });
  if (end == options.end()) return {};
  if (request.steps == 0) {
    return fail(ErrorCode::kInvalidArgument, to_upper(end->first) +
                                                 " is an option of recall, a search takes it with "
                                                 "STEPS of at least 1");
  }
  auto recall = read_schema(primitive.recall_options, {end, options.end()});
  if (!recall) return tl::unexpected(std::move(recall.error()));
  request.recall = std::move(*recall);
  options.erase(end, options.end());
  return {};
}

/// What is printed of a distance is read as that float32.
Status take_radius(std::vector<OptionText>& options, SearchRequest& request) {
  const auto text = take_option(options, kRadius);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  const auto radius = parse_number<double>(**text);
  if (!radius) {
    return fail(ErrorCode::kInvalidArgument,
                "RADIUS must be a distance, got '" + shown(**text) + "'");
  }
  constexpr double kMost = std::numeric_limits<float>::max();
  request.radius = *radius > kMost    ? ReadView::kAnyRadius
                   : *radius < -kMost ? -ReadView::kAnyRadius
                                      : static_cast<float>(*radius);
  return {};
}

Status check_radius(const SearchRequest& request) {
  if (!request.radius) return {};
  const float radius = *request.radius;
  if (std::isnan(radius)) {
    return fail(ErrorCode::kInvalidArgument, "RADIUS must be a distance, not NaN");
  }
  const Metric metric = request.index.spec().metric;
  if (metric == Metric::kDot || radius >= 0) return {};
  return fail(ErrorCode::kInvalidArgument, "RADIUS must be a distance, which under " +
                                               std::string(metric_name(metric)) +
                                               " is 0 or more, got " + number_text(radius));
}

Status check(const SearchRequest& request) {
  if (request.queries.empty()) return fail(ErrorCode::kInvalidArgument, "there is no query");
  ENGRAM_TRY(kNeighborCount.check(request.k));
  if (request.ef != 0) ENGRAM_TRY(kEf.check(request.ef));
  if (request.filter_ef != 0) ENGRAM_TRY(kFilterEf.check(request.filter_ef));
  if (request.truth && request.steps > 0) {
    return fail(ErrorCode::kInvalidArgument, "an exact search takes no STEPS");
  }
  ENGRAM_TRY(check_radius(request));
  ENGRAM_TRY(check_wanted_recall(request.wanted_recall, request.ef));
  if (request.strength.touch) ENGRAM_TRY(check_touched(request.k * query_count(request)));
  return check_neighbor_count(request.index, query_count(request), request.k);
}

/// A search on its way. Few of its parts are on theirs at a time, one for each worker, so that the
/// searches of other clients get their turn between them.
struct SearchRun {
  Store& store;
  SearchRequest request;
  Effort effort;
  std::optional<Options> relaxation;
  std::int64_t at_ms;
  Responder<SearchAnswer> responder;
  PartFlow flow;
  std::size_t workers;
  std::size_t queries;
  std::size_t part_size;  // in queries; the last part may be smaller
  std::size_t next = 0;   // the first query that no part has
  std::size_t under_way = 0;
  bool waits = false;    // for the flow
  bool is_step = false;  // of a transaction
  /// The keys that were answered to each query, where they are to be touched.
  std::vector<std::vector<std::string>> answered = {};
  std::optional<Error> error = std::nullopt;  // the first

  [[nodiscard]] bool has_more() const noexcept { return !error && next < queries; }
};

struct Part {
  std::shared_ptr<SearchRun> run;
  std::size_t first;
  std::size_t count;
  Status status = {};
  std::vector<std::size_t> chosen = {};  // queries of the part that are to be measured
  std::uint64_t version = 0;             // of the content, before them
  std::vector<SearchToMeasure> measured = {};
};

/// A batch is worth a matrix product in some primitives; but a part delays others for its length,
/// and a few parts for each worker keep them all busy to the end. Nor is its answer to be large.
std::size_t part_size(const SearchRequest& request, std::size_t queries, std::size_t workers) {
  constexpr std::size_t kLargestPart = 64;
  constexpr std::size_t kLargestAnswer = 1UL << 20;  // in bytes
  const std::size_t bytes =
      neighbor_count(request.index, 1, request.k) * result_bytes(*request.index.collection);
  const std::size_t most =
      std::clamp<std::size_t>(kLargestAnswer / std::max<std::size_t>(bytes, 1), 1, kLargestPart);
  return std::clamp<std::size_t>(queries / (workers * 2), 1, most);
}

/// On a worker: the states that the queries become.
Result<std::vector<float>> relax(const ReadView& view, const SlotSet* items, const SearchRun& run,
                                 std::span<const float> queries, Scratch& scratch) {
  const std::size_t dim = view.spec().dim;
  const auto bias = view.bias(run.at_ms);
  const RecallParams params = {
      .options = &*run.relaxation, .top = 0, .items = items, .bias = bias ? &*bias : nullptr};
  std::vector<float> states;
  states.reserve(queries.size());
  for (; !queries.empty(); queries = queries.subspan(dim)) {
    ENGRAM_TRY(Abandonable::check(scratch));
    Recall recall;
    ENGRAM_TRY(view.recaller().recall({.vector = queries.first(dim)}, params, scratch, recall));
    states.insert(states.end(), recall.state.begin(), recall.state.end());
  }
  return states;
}

/// On a worker. Parts of a batch note what is theirs.
void note_answered(SearchRun& run, std::size_t first,
                   std::span<const std::vector<Neighbor>> neighbors) {
  for (std::size_t i = 0; i < neighbors.size(); ++i) {
    for (const Neighbor& neighbor : neighbors[i]) {
      run.answered[first + i].emplace_back(neighbor.key);
    }
  }
}

/// Chooses what of a part is to be measured. A state that the query became is no query.
void choose_measured(const SearchRun& run, Part& part) {
  MeasuredRecall* const measured = run.request.index.collection->measured_recall();
  if (measured == nullptr || run.relaxation || run.request.truth) return;
  if (!run.request.filters.empty() || run.request.radius) return;
  part.version = run.request.index.collection->version();
  for (std::size_t i = 0; i < part.count; ++i) {
    if (measured->chooses()) part.chosen.push_back(i);
  }
}

/// On a worker: keeps what measuring takes.
void note_measured(Part& part, std::span<const float> queries,
                   std::span<const std::vector<Neighbor>> neighbors) {
  const std::size_t dim = queries.size() / part.count;
  for (const std::size_t i : part.chosen) {
    const auto query = queries.subspan(i * dim, dim);
    SearchToMeasure search = {.query = {query.begin(), query.end()},
                              .k = part.run->request.k,
                              .at_ms = part.run->at_ms,
                              .distances = {},
                              .version = part.version};
    for (const Neighbor& neighbor : neighbors[i]) search.distances.push_back(neighbor.distance);
    part.measured.push_back(std::move(search));
  }
}

void offer_measured(Part& part) {
  for (SearchToMeasure& search : part.measured) {
    part.run->request.index.collection->measured_recall()->offer(std::move(search));
  }
}

/// On a worker. items: to relax the queries by, or to look at; among: null if they have no filter.
Status search(const ReadView& view, const SlotSet* items, const FilteredItems* among, Part& part,
              Scratch& scratch) {
  const SearchRun& run = *part.run;
  const SearchRequest& request = run.request;
  const Abandonable abandonable(scratch, request.abandonment);
  ENGRAM_TRY(Abandonable::check(scratch));
  const IndexWorkTimer timer(request.index.collection->series(), IndexWork::kSearch, part.count);
  const std::size_t dim = view.spec().dim;
  auto queries = request.queries.values().subspan(part.first * dim, part.count * dim);
  Result<std::vector<float>> states;
  if (run.relaxation) {
    states = relax(view, items, run, queries, scratch);
    if (!states) return tl::unexpected(std::move(states.error()));
    queries = *states;
  }
  const SearchParams params = {.k = request.k,
                               .ef = ef_of(run.effort, queries),
                               .is_narrow = run.effort.is_narrow,
                               .options = request.options ? &*request.options : nullptr,
                               .most_visited = request.filter_ef};
  const bool reports = among != nullptr || request.explains;
  std::vector<SearchReport> told(reports ? part.count : 0);
  const float radius = request.radius.value_or(ReadView::kAnyRadius);
  const NeighborFields fields = request.strength.fields;
  const auto neighbors =
      request.truth ? view.scan(queries, request.k, *items, run.at_ms, fields, radius)
                    : view.search(queries, params, run.at_ms, scratch, fields, among, told, radius);
  if (!neighbors) return tl::unexpected(neighbors.error());
  std::size_t matches = view.index().size();
  if (among != nullptr && request.explains) {
    const auto matching = among->matching();
    if (!matching) return tl::unexpected(matching.error());
    matches = (*matching)->size();
  }
  ENGRAM_TRY(request.index.check_soundness());
  ENGRAM_TRY(Abandonable::check(scratch));
  if (request.strength.touch) note_answered(*part.run, part.first, *neighbors);
  if (!part.chosen.empty()) note_measured(part, queries, *neighbors);
  run.responder.take(SearchAnswer{part.first, *neighbors, told, matches, &view});
  return {};
}

/// The same of queries with a filter.
Status search_filtered(const ReadView& view, const FilteredItems& among, Part& part,
                       Scratch& scratch) {
  if (!part.run->relaxation && !part.run->request.truth) {
    return search(view, nullptr, &among, part, scratch);
  }
  const auto matching = among.matching();
  if (!matching) return tl::unexpected(matching.error());
  return search(view, *matching, &among, part, scratch);
}

/// Touches what was answered, in the order of the queries, whichever ended first.
void touch_answered(const std::shared_ptr<SearchRun>& run) {
  run->store.record_late(run->is_step, [run] {
    std::vector<std::string_view> keys;
    for (const auto& answer : run->answered) keys.insert(keys.end(), answer.begin(), answer.end());
    const IndexRef& index = run->request.index;
    const Status room = check_room(run->store.keyspace(), change_bytes(keys));
    if (!room) return run->responder.refuse(room.error());
    if (!keys.empty()) {
      index.collection->touch(keys, gain_of_read(run->store, index, run->request.strength));
    }
    run->responder.finish(run->store.seal_late());
  });
}

void start_parts(const std::shared_ptr<SearchRun>& run);

void end_part(Part& part) {
  SearchRun& run = *part.run;
  --run.under_way;
  if (!part.measured.empty()) offer_measured(part);
  if (!part.status) {
    if (!run.error) run.error = std::move(part.status.error());
  } else if (run.flow.ended) {
    run.flow.ended(part.first, part.count);
  }
  if (run.has_more()) return start_parts(part.run);
  if (run.under_way > 0) return;
  if (run.error) return run.responder.refuse(*run.error);
  if (run.request.strength.touch) return touch_answered(part.run);
  run.responder.finish(0);
}

void start_part(const std::shared_ptr<SearchRun>& run) {
  const std::size_t count = std::min(
      run->part_size, end_of_filter(run->request.filters, run->next, run->queries) - run->next);
  const auto part = std::make_shared<Part>(Part{run, run->next, count});
  run->next += count;
  ++run->under_way;
  choose_measured(*run, *part);
  Collection& collection = *run->request.index.collection;
  const auto done = [part] { end_part(*part); };
  if (auto filter = filter_of(run->request.filters, part->first)) {
    return collection.read_among(
        {std::move(filter), run->store.most_column_bytes(), run->store.memory_check()},
        [part](const ReadView& view, const FilteredItems& among, Scratch& scratch) {
          part->status = search_filtered(view, among, *part, scratch);
        },
        [part](Status status) {
          if (!status) part->status = std::move(status);
          end_part(*part);
        });
  }
  if (run->request.truth) {
    Status begun = collection.visit_items(
        [part](const ReadView& view, const SlotSet& items, Scratch& scratch) {
          part->status = search(view, &items, nullptr, *part, scratch);
          return false;
        },
        done);
    if (begun) return;
    part->status = std::move(begun);
    return done();
  }
  if (!run->relaxation) {
    return collection.read(
        [part](const ReadView& view, Scratch& scratch) {
          part->status = search(view, nullptr, nullptr, *part, scratch);
        },
        done);
  }
  Status begun = collection.recall(
      [part](const ReadView& view, const SlotSet* items, Scratch& scratch) {
        part->status = search(view, items, nullptr, *part, scratch);
      },
      done);
  if (begun) return;
  part->status = std::move(begun);
  done();
}

void start_parts(const std::shared_ptr<SearchRun>& run) {
  const auto resume = [run] {
    run->waits = false;
    start_parts(run);
  };
  while (run->has_more() && run->under_way < run->workers && !run->waits) {
    run->waits = run->flow.admits && !run->flow.admits(resume);
    if (!run->waits) start_part(run);
  }
}

}  // namespace

Status read_options(std::vector<OptionText> options, SearchRequest& request) {
  const auto steps = take_count(options, kSteps, 0);
  if (!steps) return tl::unexpected(steps.error());
  request.steps = *steps;
  ENGRAM_TRY(take_recall_options(options, request));
  if (const auto relaxation = relaxation_of(request); !relaxation) {
    return tl::unexpected(relaxation.error());
  }
  const auto cursor = take_option(options, kCursor);
  if (!cursor) return tl::unexpected(cursor.error());
  if (*cursor) {
    return fail(ErrorCode::kInvalidArgument, "CURSOR is an option of VSEARCH alone");
  }
  ENGRAM_TRY(take_radius(options, request));
  const auto ef = take_count(options, kEf, 0);
  if (!ef) return tl::unexpected(ef.error());
  request.ef = *ef;
  ENGRAM_TRY(take_wanted_recall(options, request.wanted_recall));
  ENGRAM_TRY(take_strength_read(options, request.strength));
  std::shared_ptr<const Filter> filter;
  ENGRAM_TRY(take_filter(options, filter));
  if (filter != nullptr) request.filters.push_back({0, std::move(filter)});
  const auto filter_ef = take_count(options, kFilterEf, 0);
  if (!filter_ef) return tl::unexpected(filter_ef.error());
  request.filter_ef = *filter_ef;
  auto rest =
      read_schema(request.index.spec().primitive->search_options, options, names_of(request.index));
  if (!rest) return tl::unexpected(rest.error());
  request.options = std::move(*rest);
  return {};
}

Status check_search_option(const IndexRef& index, std::string_view name) {
  for (const std::string_view known : kNames) {
    if (equal_ignoring_case(name, known)) return {};
  }
  const OptionText option{name, {}};
  return check_names(index.spec().primitive->search_options, {&option, 1}, names_of(index));
}

Status check_neighbor_count(const IndexRef& index, std::size_t queries, std::size_t k) {
  return check_result_count(neighbor_count(index, queries, k));
}

std::size_t query_count(const SearchRequest& request) {
  return request.queries.values().size() / request.index.spec().dim;
}

std::size_t expected_bytes(const SearchRequest& request) {
  const Collection& collection = *request.index.collection;
  std::size_t each = result_bytes(collection);
  if (request.strength.fields.attributes && collection.attributes().count() > 0) {
    each += collection.attributes().memory_bytes() / collection.attributes().count();
  }
  return neighbor_count(request.index, query_count(request), request.k) * each +
         request.queries.values().size_bytes();
}

namespace {

void start(Store& store, SearchRequest request, const Effort& effort,
           Responder<SearchAnswer> responder, PartFlow flow) {
  auto relaxation = relaxation_of(request);
  if (!relaxation) return responder.refuse(relaxation.error());
  if (const Status checked = check_strength_read(store, request.index, request.strength);
      !checked) {
    return responder.refuse(checked.error());
  }
  const std::int64_t at_ms = time_of_read(store, *request.index.collection, request.strength.at_ms);
  const std::size_t workers = store.workers().size();
  const std::size_t queries = query_count(request);
  const std::size_t size = part_size(request, queries, workers);
  const std::size_t touched = request.strength.touch ? queries : 0;
  start_parts(std::make_shared<SearchRun>(
      SearchRun{.store = store,
                .request = std::move(request),
                .effort = effort,
                .relaxation = std::move(*relaxation),
                .at_ms = at_ms,
                .responder = std::move(responder),
                .flow = std::move(flow),
                .workers = workers,
                .queries = queries,
                .part_size = size,
                .is_step = store.gate().is_closed(),
                .answered = std::vector<std::vector<std::string>>(touched)}));
}

}  // namespace

void start(Store& store, SearchRequest request, Responder<SearchAnswer> responder, PartFlow flow) {
  if (const Status checked = check(request); !checked) return responder.refuse(checked.error());
  if (!request.wanted_recall) {
    const Effort effort = {.ef = request.ef};
    return start(store, std::move(request), effort, std::move(responder), std::move(flow));
  }
  const auto collection = request.index.collection;
  const std::size_t k = request.k;
  const double recall = *request.wanted_recall;
  choose_effort(store, collection, k, recall,
                [&store, request = std::move(request), responder = std::move(responder),
                 flow = std::move(flow)](const Result<Effort>& effort) {
                  if (!effort) return responder.refuse(effort.error());
                  SearchRequest chosen = request;
                  chosen.truth = chosen.truth || (effort->scans && chosen.steps == 0);
                  start(store, std::move(chosen), *effort, responder, flow);
                });
}

}  // namespace engram
