// SPDX-License-Identifier: Apache-2.0
// VSEARCH and VMSEARCH. Workers render what they have found, so that a large reply costs other
// clients nothing.
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
#include "server/requests/search.h"

namespace engram {
namespace {

void write_neighbors(ReplyWriter& writer, const std::vector<Neighbor>& neighbors) {
  writer.array(neighbors.size() * 2);
  for (const Neighbor& neighbor : neighbors) {
    writer.bulk(neighbor.key);
    writer.number(neighbor.distance);
  }
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
  ENGRAM_TRY(read_option_words(context.argv.subspan(4), request));
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

/// The reply to a batch in the making.
struct BatchReply {
  Deferred reply;
  std::vector<std::string> parts;  // rendered, each where its first query is
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

void reply(BatchReply& batch) {
  std::string bytes;
  ReplyWriter writer(bytes, batch.reply.version());
  if (batch.error) {
    write_error(writer, *batch.error);
  } else {
    writer.array(batch.parts.size());
    for (const std::string& part : batch.parts) bytes += part;
  }
  batch.reply.reply_rendered(std::move(bytes));
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
  const auto batch = std::make_shared<BatchReply>(
      BatchReply{.reply = context.defer(expected_bytes(*request)),
                 .parts = std::vector<std::string>(query_count(*request))});
  start(context.services.store, std::move(*request),
        Responder<SearchAnswer>{
            .take = [batch](const Result<SearchAnswer>& answer) { render_part(*batch, answer); },
            .finish = [batch](Lsn) { reply(*batch); }});
}

}  // namespace engram
