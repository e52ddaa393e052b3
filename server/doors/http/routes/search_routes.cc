// SPDX-License-Identifier: Apache-2.0
// Searches, singly and in batches. Workers render what they have found.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/answer_size.h"
#include "server/requests/search.h"

namespace engram {
namespace {

/// What frames a result.
constexpr std::size_t kFraming = 128;

constexpr auto kSearchFields = search_fields("vector");
constexpr auto kSearchBatchFields = search_fields("vectors");

struct Search {
  SearchRequest request;
  bool with_vectors = false;
};

/// Beyond what a float32 can say it is any, or none.
float radius_of(double given) {
  constexpr double kMost = std::numeric_limits<float>::max();
  if (given > kMost) return ReadView::kAnyRadius;
  return given < -kMost ? -ReadView::kAnyRadius : static_cast<float>(given);
}

/// All but the queries.
Status take_options(const JsonObject& body, Search& search) {
  const auto given = read_given_search(body);
  if (!given) return tl::unexpected(given.error());
  SearchRequest& request = search.request;
  request.k = given->k;
  request.ef = given->ef;
  request.wanted_recall = given->recall;
  if (given->radius) request.radius = radius_of(*given->radius);
  if (given->filter) ENGRAM_TRY(FilterAdder(request.filters).add(*given->filter, 0));
  if (given->at_ms) request.strength.at_ms = *given->at_ms;
  request.strength.fields = {
      .raw = given->with_raw, .strength = given->with_strength, .attributes = given->with_metadata};
  request.truth = given->is_exact;
  search.with_vectors = given->with_vectors;
  return {};
}

Status take_query(const JsonValue& value, const std::string& where, SearchRequest& request) {
  const auto vector = read_vector(value, where);
  if (!vector) return tl::unexpected(vector.error());
  const Status added = request.queries.add(request.index, std::span<const float>(*vector));
  if (added) return {};
  return fail(added.error().code, "'" + where + "': " + added.error().message);
}

Result<Search> read_search(const RoutedRequest& call) {
  JsonBody body;
  const auto object = body.read(call.request, kSearchFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  Search search = {.request = {.index = std::move(*index)}};
  const auto value = object->require("vector", "an array of numbers");
  if (!value) return tl::unexpected(value.error());
  ENGRAM_TRY(take_query(*value, "vector", search.request));
  ENGRAM_TRY(take_options(*object, search));
  return search;
}

Result<Search> read_batch(const RoutedRequest& call) {
  JsonBody body;
  const auto object = body.read(call.request, kSearchBatchFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  Search search = {.request = {.index = std::move(*index)}};
  const auto vectors = read_given_queries(*object);
  if (!vectors) return tl::unexpected(vectors.error());
  ENGRAM_TRY(take_options(*object, search));
  ENGRAM_TRY(check_neighbor_count(search.request.index, vectors->size(), search.request.k));
  search.request.queries.reserve(
      search.request.index, std::min(vectors->size(), most_vectors(call, search.request.index)));
  for (std::size_t i = 0; i < vectors->size(); ++i) {
    ENGRAM_TRY(take_query((*vectors)[i], place_in_batch(i), search.request));
  }
  return search;
}

/// What a worker has to know to render an answer.
struct Shown {
  NeighborFields fields;
  bool vectors;
  std::size_t dim;
};

Shown shown_by(const Search& search) {
  return {search.request.strength.fields, search.with_vectors, search.request.index.spec().dim};
}

std::size_t expected_bytes_of(const Search& search) {
  const SearchRequest& request = search.request;
  const std::size_t results =
      query_count(request) * std::min(request.k, request.index.collection->size());
  return expected_bytes(request) +
         (search.with_vectors ? results * request.index.spec().dim * kJsonNumberBytes : 0);
}

std::size_t bytes_of(std::span<const Neighbor> neighbors, const Shown& shown) {
  std::size_t bytes = 0;
  for (const Neighbor& neighbor : neighbors) {
    bytes += neighbor.key.size() + neighbor.attributes.size() + kFraming +
             (shown.vectors ? shown.dim * kJsonNumberBytes : 0);
  }
  return bytes;
}

/// `bytes`: those of bytes_of().
void write_results(std::string& out, std::span<const Neighbor> neighbors, const ReadView& view,
                   const Shown& shown, std::size_t bytes) {
  out.reserve(out.size() + bytes);
  std::vector<float> vector(shown.vectors ? shown.dim : 0);
  JsonWriter json(out);
  json.begin_array();
  for (const Neighbor& neighbor : neighbors) {
    ShownResult result = {.id = neighbor.key, .distance = neighbor.distance};
    if (shown.fields.raw) result.raw = neighbor.raw;
    if (shown.fields.strength) result.strength = neighbor.strength;
    if (shown.fields.attributes) result.attributes = neighbor.attributes;
    if (shown.vectors) {
      view.read(neighbor.slot, vector);
      result.vector = vector;
    }
    write_result(json, result);
  }
  json.end_array();
}

void search(HttpCall& call) {
  auto search = read_within_memory(call, read_search);
  if (!search) return call.reply.send(search.error());
  const Shown shown = shown_by(*search);
  const std::size_t expected = expected_bytes_of(*search);
  start(call.services.store, std::move(search->request),
        respond<SearchAnswer>(
            call, expected, [shown](HttpResponse& response, const SearchAnswer& answer) {
              const std::span<const Neighbor> found = answer.neighbors.front();
              const std::size_t bytes = bytes_of(found, shown);
              if (const Status checked = check_answer_bytes(bytes, "k"); !checked) {
                response = error_response(checked.error());
                return;
              }
              response.body = R"({"results":)";
              write_results(response.body, found, *answer.view, shown, bytes);
              response.body += '}';
            }));
}

/// The answers to a batch, which come in parts, in any order, on several workers at once.
struct BatchAnswer {
  BatchAnswer(HttpReply promise, std::size_t queries)
      : reply(std::move(promise)), results(queries) {}

  HttpReply reply;
  std::vector<std::string> results;    // of each query
  std::atomic<std::size_t> bytes = 0;  // of them all, also of those that were too many to write
  std::atomic<bool> ran_out = false;   // of memory
  std::optional<Error> error = {};
};

/// Of further results only the bytes are counted, once there are too many.
void take_part(BatchAnswer& batch, const SearchAnswer& answer, const Shown& shown) {
  const Status written = within_memory([&]() -> Status {
    for (std::size_t i = 0; i < answer.neighbors.size(); ++i) {
      const std::size_t bytes = bytes_of(answer.neighbors[i], shown);
      if (batch.bytes.fetch_add(bytes) + bytes > kMostAnswerBytes) continue;
      write_results(batch.results[answer.first + i], answer.neighbors[i], *answer.view, shown,
                    bytes);
    }
    return {};
  });
  if (!written) batch.ran_out = true;
}

/// All of them as one.
Status join_batch(BatchAnswer& batch, std::string& body) {
  if (batch.error) return tl::unexpected(*batch.error);
  if (batch.ran_out) return fail(ErrorCode::kResourceExhausted, "out of memory");
  const std::size_t bytes = batch.bytes;
  ENGRAM_TRY(check_answer_bytes(bytes, "k"));
  body.reserve(bytes + batch.results.size() + kFraming);
  body = R"({"results":[)";
  for (std::string& results : batch.results) {
    if (!body.ends_with('[')) body += ',';
    body += std::exchange(results, {});
  }
  body += "]}";
  return {};
}

void end_batch(BatchAnswer& batch) {
  HttpResponse response;
  const Status joined = within_memory([&] { return join_batch(batch, response.body); });
  if (!joined) response = error_response(joined.error());
  batch.reply.send(std::move(response));
}

void search_batch(HttpCall& call) {
  auto search = read_within_memory(call, read_batch);
  if (!search) return call.reply.send(search.error());
  const Shown shown = shown_by(*search);
  const std::size_t queries = query_count(search->request);
  call.reply.expect(expected_bytes_of(*search));
  const auto batch = std::make_shared<BatchAnswer>(std::move(call.reply), queries);
  start(call.services.store, std::move(search->request),
        Responder<SearchAnswer>{
            .take =
                [batch, shown](const Result<SearchAnswer>& answer) {
                  if (answer) {
                    take_part(*batch, *answer, shown);
                  } else {
                    batch->error = answer.error();  // on the loop, when all parts have ended
                  }
                },
            .finish =
                [batch](Lsn lsn) {
                  if (lsn != 0) batch->reply.hold(lsn);
                  end_batch(*batch);
                }});
}

constexpr std::string_view kSearchSchema =
    R"({"type":"object","properties":{"vector":{"$ref":"#/components/schemas/Vector"},)"
    R"("k":{"type":"integer","minimum":1,"default":10},"filter":{"type":["object","string"]},)"
    R"("ef":{"type":"integer","minimum":1},"recall":{"type":"number"},"radius":{"type":"number"},)"
    R"("exact":{"type":"boolean","default":false},"at":{"type":"integer"},)"
    R"("include_metadata":{"type":"boolean","default":true},"include_raw":{"type":"boolean","default":false},)"
    R"("include_strength":{"type":"boolean","default":false},)"
    R"("include_vectors":{"type":"boolean","default":false}},"required":["vector"],"additionalProperties":false})";
constexpr std::string_view kSearchBatchSchema =
    R"({"type":"object","properties":{"vectors":{"type":"array","minItems":1,)"
    R"("items":{"$ref":"#/components/schemas/Vector"}},)"
    R"("k":{"type":"integer","minimum":1,"default":10},"filter":{"type":["object","string"]},)"
    R"("ef":{"type":"integer","minimum":1},"recall":{"type":"number"},"radius":{"type":"number"},)"
    R"("exact":{"type":"boolean","default":false},"at":{"type":"integer"},)"
    R"("include_metadata":{"type":"boolean","default":true},"include_raw":{"type":"boolean","default":false},)"
    R"("include_strength":{"type":"boolean","default":false},)"
    R"("include_vectors":{"type":"boolean","default":false}},"required":["vectors"],"additionalProperties":false})";
constexpr std::string_view kResultsSchema =
    R"({"type":"object","properties":{"results":{"type":"array","items":)"
    R"({"$ref":"#/components/schemas/SearchResult"}}},"required":["results"]})";
constexpr std::string_view kBatchResultsSchema =
    R"({"type":"object","properties":{"results":{"type":"array","items":{"type":"array","items":)"
    R"({"$ref":"#/components/schemas/SearchResult"}}}},"required":["results"]})";

constexpr Route search_route(std::string_view path) {
  return {.method = "POST",
          .path = path,
          .handler = search,
          .kind = CommandKind::kRead,
          .summary = "Returns the ids nearest to a vector",
          .request_schema = kSearchSchema,
          .response_schema = kResultsSchema};
}

constexpr Route search_batch_route(std::string_view path) {
  return {.method = "POST",
          .path = path,
          .handler = search_batch,
          .kind = CommandKind::kRead,
          .summary = "Returns the ids nearest to each of several vectors",
          .request_schema = kSearchBatchSchema,
          .response_schema = kBatchResultsSchema};
}

constexpr std::array kSearchRoutes = {
    search_route("/search"),
    search_batch_route("/search/batch"),
    search_route("/collections/{name}/search"),
    search_batch_route("/collections/{name}/search/batch"),
};

}  // namespace

std::span<const Route> search_routes() {
  return kSearchRoutes;
}

}  // namespace engram
