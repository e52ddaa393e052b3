// SPDX-License-Identifier: Apache-2.0
// VSEARCH and VMSEARCH. Workers render what they have found, so that a large reply costs other
// clients nothing.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/answer_size.h"
#include "server/requests/search.h"

namespace engram {
namespace {

/// Beside a key of an answer.
constexpr std::size_t kDistanceAndFraming = 48;

/// Or an error, if they are too large.
void write_neighbors(ReplyWriter& writer, const std::vector<Neighbor>& neighbors) {
  std::size_t bytes = 0;
  for (const Neighbor& neighbor : neighbors) bytes += neighbor.key.size() + kDistanceAndFraming;
  if (const Status checked = check_answer_bytes(bytes, "k"); !checked) {
    return write_error(writer, checked.error());
  }
  writer.expect(bytes);
  writer.array(neighbors.size() * 2);
  for (const Neighbor& neighbor : neighbors) {
    writer.bulk(neighbor.key);
    writer.number(neighbor.distance);
  }
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

/// index query k [EF n] [STEPS n] [option value ...]
Result<SearchRequest> read_vsearch(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  SearchRequest request = {.index = std::move(*index)};
  ENGRAM_TRY(request.queries.add(request.index, context.argv[2]));
  const auto k = kNeighborCount.read(context.argv[3]);
  if (!k) return tl::unexpected(k.error());
  request.k = *k;
  const Arguments words = context.argv.subspan(4);
  ENGRAM_TRY(check_last_name(request.index, words));
  ENGRAM_TRY(read_option_words(words, request));
  return request;
}

/// index k [EF n] query [query ...]. EF cannot be mistaken for a query: two bytes are no vector.
Result<SearchRequest> read_vmsearch(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  SearchRequest request = {.index = std::move(*index)};
  const auto k = kNeighborCount.read(context.argv[2]);
  if (!k) return tl::unexpected(k.error());
  request.k = *k;
  Arguments queries = context.argv.subspan(3);
  const bool has_ef = equal_ignoring_case(queries[0], "EF");
  if (has_ef && queries.size() < 3) {
    return fail(ErrorCode::kInvalidArgument, "EF takes a value, and at least one query after it");
  }
  ENGRAM_TRY(read_option_words(queries.first(has_ef ? 2 : 0), request));
  queries = queries.subspan(has_ef ? 2 : 0);
  ENGRAM_TRY(check_neighbor_count(request.index, queries.size(), request.k));
  request.queries.reserve(request.index, queries.size());
  for (const std::string_view query : queries) {
    ENGRAM_TRY(request.queries.add(request.index, query));
  }
  return request;
}

/// The reply to a batch in the making. It leaves in parts, each when those before it have left, as
/// fast as the client reads.
struct BatchReply {
  Deferred reply;
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
  for (const auto& neighbors : answer->neighbors) write_neighbors(writer, neighbors);
}

/// Gives what has ended, unless it is so little that it had better wait for more.
void end_part(BatchReply& batch, std::size_t first, std::size_t count) {
  constexpr std::size_t kLeastGiven = 64UL * 1024;
  batch.counts[first] = count;
  while (batch.next < batch.counts.size() && batch.counts[batch.next] != 0) {
    if (batch.next == 0) ReplyWriter(batch.joined, batch.reply.version()).array(batch.parts.size());
    batch.joined += std::exchange(batch.parts[batch.next], {});
    batch.next += batch.counts[batch.next];
    if (batch.joined.size() < kLeastGiven) continue;
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
  auto request = read_vsearch(context);
  if (!request) return write_error(context.reply, request.error());
  const std::size_t expected = expected_bytes(*request);
  start(
      context.services.store, std::move(*request),
      respond<SearchAnswer>(context, expected, [](ReplyWriter& writer, const SearchAnswer& answer) {
        write_neighbors(writer, answer.neighbors.front());
      }));
}

void vmsearch(CommandContext& context) {
  auto request = read_vmsearch(context);
  if (!request) return write_error(context.reply, request.error());
  const std::size_t queries = query_count(*request);
  const auto batch =
      std::make_shared<BatchReply>(BatchReply{.reply = context.defer(expected_bytes(*request)),
                                              .parts = std::vector<std::string>(queries),
                                              .counts = std::vector<std::size_t>(queries)});
  start(context.services.store, std::move(*request),
        Responder<SearchAnswer>{
            .take = [batch](const Result<SearchAnswer>& answer) { render_part(*batch, answer); },
            .finish = [batch](Lsn) { end(*batch); }},
        PartFlow{.ended = [batch](std::size_t first,
                                  std::size_t count) { end_part(*batch, first, count); },
                 .admits =
                     [batch](std::function<void()> resume) {
                       return batch->reply.takes_part(std::move(resume));
                     }});
}

}  // namespace engram
