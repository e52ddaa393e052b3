// SPDX-License-Identifier: Apache-2.0
// VSEARCH and VMSEARCH. Workers render what they have found, so that a large reply costs other
// clients nothing.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/config/config.h"
#include "server/requests/answer_size.h"
#include "server/requests/cursor.h"
#include "server/requests/search.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// Beside a key of an answer.
constexpr std::size_t kDistanceAndFraming = 48;

constexpr std::string_view kSearchFlags[] = {"WITHRAW", "WITHSTRENGTH", "EXPLAIN"};
constexpr auto kNeighborFlags = std::span(kSearchFlags).first(2);
constexpr std::string_view kFilter = "FILTER";

NeighborFields fields_of(unsigned flags) {
  return {.raw = (flags & 1U) != 0, .strength = (flags & 2U) != 0};
}

/// Or an error, if they are too large. What FILTER-EF ended before all was looked at ends with a
/// row that has no key, and in the place of a distance how many nodes were visited.
void write_neighbors(ReplyWriter& writer, std::span<const Neighbor> neighbors,
                     NeighborFields fields, const SearchReport* report) {
  std::size_t bytes = 0;
  for (const Neighbor& neighbor : neighbors) bytes += neighbor.key.size() + kDistanceAndFraming;
  if (const Status checked = check_answer_bytes(bytes, "k"); !checked) {
    return write_error(writer, checked.error());
  }
  writer.expect(bytes);
  const bool is_cut_short = report != nullptr && !report->effort.complete;
  writer.array((neighbors.size() + std::size_t{is_cut_short}) *
               (2 + std::size_t{fields.raw} + std::size_t{fields.strength}));
  for (const Neighbor& neighbor : neighbors) {
    writer.bulk(neighbor.key);
    writer.number(neighbor.distance);
    if (fields.raw) writer.number(neighbor.raw);
    if (fields.strength) writer.number(neighbor.strength);
  }
  if (!is_cut_short) return;
  writer.null();
  writer.integer(static_cast<std::int64_t>(report->effort.visited));
  if (fields.raw) writer.null();
  if (fields.strength) writer.null();
}

/// The answer to one query, and how it was come by.
void write_explained(ReplyWriter& writer, const SearchAnswer& answer, NeighborFields fields) {
  const SearchReport& report = answer.reports.front();
  const auto count = [&writer](std::string_view name, std::size_t number) {
    writer.simple(name);
    writer.integer(static_cast<std::int64_t>(number));
  };
  writer.map(8);
  writer.simple("plan");
  writer.bulk(kSearchWayNames[static_cast<std::size_t>(report.way)]);
  count("items", report.items);
  count("estimated", report.way == SearchWay::kPlain ? report.items : report.estimated);
  count("matches", answer.matches);
  count("visited", report.effort.visited);
  count("distances", report.effort.scored);
  writer.simple("complete");
  writer.boolean(report.effort.complete);
  writer.simple("results");
  write_neighbors(writer, answer.neighbors.front(), fields, nullptr);
}

void write_page(ReplyWriter& writer, const SearchPage& page, NeighborFields fields) {
  writer.array(2);
  writer.bulk(std::to_string(page.next));
  write_neighbors(writer, page.neighbors, fields, nullptr);
}

/// A name without a value may be one that only other servers know.
Status check_last_name(const IndexRef& index, Arguments words) {
  if (words.size() % 2 == 0) return {};
  for (const std::string_view flag : {"WITHSCORES", "WITHSCORE"}) {
    if (!equal_ignoring_case(words.back(), flag)) continue;
    return fail(ErrorCode::kInvalidArgument,
                "there is no option WITHSCORES: VSEARCH always answers distances");
  }
  return check_search_option(index, words.back());
}

/// Takes CURSOR and its value; nothing if it is not there.
Result<std::optional<std::uint64_t>> take_cursor(std::vector<std::string_view>& words) {
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    if (!equal_ignoring_case(words[i], "CURSOR")) continue;
    const auto cursor = parse_number<std::uint64_t>(words[i + 1]);
    if (!cursor) {
      return fail(
          ErrorCode::kInvalidArgument,
          "CURSOR must be 0 or a cursor that was answered, got '" + shown(words[i + 1]) + "'");
    }
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i),
                words.begin() + static_cast<std::ptrdiff_t>(i + 2));
    return cursor;
  }
  return std::optional<std::uint64_t>();
}

/// A search, or with a cursor a page of one.
struct VsearchRequest {
  SearchRequest search;
  std::optional<std::uint64_t> cursor = {};
};

/// index query k [RADIUS r] [EF n] [RECALL r] [STEPS n] [FILTER filter] [FILTER-EF n] [AT ms]
/// [TOUCH gain] [WITHRAW] [WITHSTRENGTH] [EXPLAIN] [CURSOR c] [option value ...]
Result<VsearchRequest> read_vsearch(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  VsearchRequest whole = {.search = {.index = std::move(*index)}};
  SearchRequest& request = whole.search;
  Arguments rest = context.argv.subspan(2);
  const auto query = take_vector(rest);
  if (!query) return tl::unexpected(query.error());
  ENGRAM_TRY(
      give_vector(*query, [&](auto vector) { return request.queries.add(request.index, vector); }));
  if (rest.empty()) return fail(ErrorCode::kInvalidArgument, "there is no k after the query");
  const auto k = kNeighborCount.read(rest[0]);
  if (!k) return tl::unexpected(k.error());
  request.k = *k;
  std::vector<std::string_view> words(rest.begin() + 1, rest.end());
  const unsigned flags = take_flags(words, kSearchFlags);
  request.strength.fields = fields_of(flags);
  request.explains = (flags & 4U) != 0;
  ENGRAM_TRY(check_last_name(request.index, words));
  const auto cursor = take_cursor(words);
  if (!cursor) return tl::unexpected(cursor.error());
  whole.cursor = *cursor;
  ENGRAM_TRY(read_option_words(words, request));
  return whole;
}

/// Takes what stands before the queries of VMSEARCH. No name can be mistaken for a query, which has
/// four bytes for each dimension, except one: so that is a query where it has the length of one.
Result<std::vector<std::string_view>> take_batch_options(Arguments& queries,
                                                         SearchRequest& request) {
  constexpr std::string_view kNames[] = {"EF",        "RECALL", "RADIUS", kFilter,
                                         "FILTER-EF", "AT",     "TOUCH"};
  const std::size_t query_bytes = request.index.spec().dim * sizeof(float);
  std::vector<std::string_view> options;
  unsigned flags = 0;
  while (!queries.empty() && queries[0].size() != query_bytes) {
    std::vector<std::string_view> word = {queries[0]};
    const unsigned taken = take_flags(word, kNeighborFlags);
    const bool has_value =
        std::any_of(std::begin(kNames), std::end(kNames),
                    [&](std::string_view name) { return equal_ignoring_case(name, queries[0]); });
    if (taken == 0 && !has_value) break;
    const std::size_t words = has_value ? 2 : 1;
    if (queries.size() <= words) {
      return fail(
          ErrorCode::kInvalidArgument,
          to_upper(queries[0]) + (has_value ? " takes a value, and at least one query after it"
                                            : " stands before at least one query"));
    }
    flags |= taken;
    if (has_value) options.insert(options.end(), {queries[0], queries[1]});
    queries = queries.subspan(words);
  }
  request.strength.fields = fields_of(flags);
  return options;
}

/// Takes FILTER and what it says from before a query, if it stands there.
Result<std::optional<std::string_view>> take_filter(Arguments& queries) {
  if (queries.empty() || !equal_ignoring_case(queries[0], kFilter)) return std::nullopt;
  if (queries.size() < 3) {
    return fail(ErrorCode::kInvalidArgument,
                "FILTER takes a value, and at least one query after it");
  }
  const std::string_view filter = queries[1];
  queries = queries.subspan(2);
  return filter;
}

/// How many queries there are among filters.
Result<std::size_t> count_queries(Arguments queries) {
  std::size_t count = 0;
  while (!queries.empty()) {
    const auto filter = take_filter(queries);
    if (!filter) return tl::unexpected(filter.error());
    const auto query = take_vector(queries);
    if (!query) return tl::unexpected(query.error());
    ++count;
  }
  return count;
}

/// index k [RADIUS r] [EF n] [RECALL r] [FILTER filter] [FILTER-EF n] [AT ms] [TOUCH gain]
/// [WITHRAW] [WITHSTRENGTH] query
/// [[FILTER filter] query ...]
Result<SearchRequest> read_vmsearch(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  SearchRequest request = {.index = std::move(*index)};
  const auto k = kNeighborCount.read(context.argv[2]);
  if (!k) return tl::unexpected(k.error());
  request.k = *k;
  Arguments queries = context.argv.subspan(3);
  const auto options = take_batch_options(queries, request);
  if (!options) return tl::unexpected(options.error());
  ENGRAM_TRY(read_option_words(*options, request));
  const auto count = count_queries(queries);
  if (!count) return tl::unexpected(count.error());
  ENGRAM_TRY(check_neighbor_count(request.index, *count, request.k));
  request.queries.reserve(request.index, *count);
  FilterAdder filters(request.filters);
  while (!queries.empty()) {
    const auto filter = take_filter(queries);
    if (!filter) return tl::unexpected(filter.error());
    if (*filter) ENGRAM_TRY(filters.add(**filter, query_count(request)));
    const auto query = take_vector(queries);
    if (!query) return tl::unexpected(query.error());
    ENGRAM_TRY(give_vector(
        *query, [&](auto vector) { return request.queries.add(request.index, vector); }));
  }
  return request;
}

/// The reply to a batch in the making. It leaves in parts, each when those before it have left, as
/// fast as the client reads; as a whole where it waits for a write.
struct BatchReply {
  Deferred reply;
  NeighborFields fields;
  bool is_whole;
  std::vector<std::string> parts;   // rendered, each where its first query is
  std::vector<std::size_t> counts;  // of queries in the parts that have ended; 0: none begins there
  std::size_t next = 0;             // the first query whose part has not joined
  std::string joined = {};          // parts in order, not given yet
  bool is_given = false;            // something was
  std::optional<Error> error = std::nullopt;
};

/// On any worker, for each part.
void render_part(BatchReply& batch, const Result<SearchAnswer>& answer) {
  if (!answer) {
    batch.error = answer.error();
    return;
  }
  ReplyWriter writer(batch.parts[answer->first], batch.reply.version());
  for (std::size_t i = 0; i < answer->neighbors.size(); ++i) {
    write_neighbors(writer, answer->neighbors[i], batch.fields,
                    answer->reports.empty() ? nullptr : &answer->reports[i]);
  }
}

/// Gives what has ended, unless it is so little that it had better wait for more.
void end_part(BatchReply& batch, std::size_t first, std::size_t count) {
  constexpr std::size_t kLeastGiven = 64UL * 1024;
  batch.counts[first] = count;
  while (batch.next < batch.counts.size() && batch.counts[batch.next] != 0) {
    if (batch.next == 0) ReplyWriter(batch.joined, batch.reply.version()).array(batch.parts.size());
    batch.joined += std::exchange(batch.parts[batch.next], {});
    batch.next += batch.counts[batch.next];
    if (batch.is_whole || batch.joined.size() < kLeastGiven) continue;
    batch.reply.give_part(std::exchange(batch.joined, {}));
    batch.is_given = true;
  }
}

/// An error takes the place of the reply; or, when a part of it has left, of each array that has
/// not.
void end(BatchReply& batch) {
  if (batch.error && !batch.is_given) {
    return batch.reply.reply([&](ReplyWriter& writer) { write_error(writer, *batch.error); });
  }
  ReplyWriter writer(batch.joined, batch.reply.version());
  for (; batch.next < batch.parts.size(); ++batch.next) write_error(writer, *batch.error);
  batch.reply.reply_rendered(std::move(batch.joined));
}

}  // namespace

void vsearch(CommandContext& context) {
  auto whole = read_vsearch(context);
  if (!whole) return write_error(context.reply, whole.error());
  SearchRequest& request = whole->search;
  const std::size_t expected = expected_bytes(request);
  const NeighborFields fields = request.strength.fields;
  if (whole->cursor) {
    const ServerConfig& config = context.services.config;
    return start(context.services.store,
                 PagedSearchRequest{.search = std::move(request),
                                    .cursor = *whole->cursor,
                                    .limits = {.most = config.search_cursors,
                                               .most_bytes = config.search_cursor_memory,
                                               .idle_ms = config.search_cursor_timeout * 1000}},
                 respond<SearchPage>(context, expected,
                                     [fields](ReplyWriter& writer, const SearchPage& page) {
                                       write_page(writer, page, fields);
                                     }));
  }
  const bool explains = request.explains;
  start(context.services.store, std::move(request),
        respond<SearchAnswer>(
            context, expected, [fields, explains](ReplyWriter& writer, const SearchAnswer& answer) {
              if (explains) return write_explained(writer, answer, fields);
              write_neighbors(writer, answer.neighbors.front(), fields,
                              answer.reports.empty() ? nullptr : &answer.reports.front());
            }));
}

void vmsearch(CommandContext& context) {
  auto request = read_vmsearch(context);
  if (!request) return write_error(context.reply, request.error());
  const std::size_t queries = query_count(*request);
  const auto batch =
      std::make_shared<BatchReply>(BatchReply{.reply = context.defer(expected_bytes(*request)),
                                              .fields = request->strength.fields,
                                              .is_whole = request->strength.touch.has_value(),
                                              .parts = std::vector<std::string>(queries),
                                              .counts = std::vector<std::size_t>(queries)});
  PartFlow flow = {
      .ended = [batch](std::size_t first, std::size_t count) { end_part(*batch, first, count); }};
  if (!batch->is_whole) {
    flow.admits = [batch](std::function<void()> resume) {
      return batch->reply.takes_part(std::move(resume));
    };
  }
  start(context.services.store, std::move(*request),
        Responder<SearchAnswer>{
            .take = [batch](const Result<SearchAnswer>& answer) { render_part(*batch, answer); },
            .finish =
                [batch](Lsn lsn) {
                  if (lsn != 0) batch->reply.hold(lsn);
                  end(*batch);
                }},
        std::move(flow));
}

}  // namespace engram
