// SPDX-License-Identifier: Apache-2.0
// Collections as a whole, and the primitives that they may have.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "core/text.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/facts_json.h"
#include "server/doors/http/given.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"

namespace engram {
namespace {

ShownCollection shown_collection(std::string_view name, const Collection& collection) {
  const IndexSpec& spec = collection.spec();
  return {.name = name,
          .dim = spec.dim,
          .metric = metric_name(spec.metric),
          .primitive = spec.primitive->name,
          .count = collection.size()};
}

Status make_collection(HttpCall& call) {
  const auto given = read_given_collection(call.request);
  if (!given) return tl::unexpected(given.error());
  NewIndexRequest request = {.name = call.path_value("name"), .dim = given->dim};
  ENGRAM_TRY(read_options(given->options.list(), request));
  return create_index(call.services.store, request);
}

void put_collection(HttpCall& call) {
  if (const Status made = make_collection(call); !made) return call.reply.send(made.error());
  const auto index = find_collection(call);
  if (!index) return call.reply.send(index.error());
  call.reply.send(answer_made(shown_collection(index->name, *index->collection)));
}

void get_collection(HttpCall& call) {
  auto index = find_collection(call);
  if (!index) return call.reply.send(index.error());
  const IndexRef shown_index = *index;
  start(call.services.store, InfoRequest{std::move(*index)},
        respond<std::vector<Fact>>(
            call, 0, [shown_index](HttpResponse& response, const std::vector<Fact>& facts) {
              JsonWriter json(response.body);
              json.begin_object();
              write_collection(json, shown_collection(shown_index.name, *shown_index.collection));
              json.name("info");
              write_facts(json, facts);
              json.end_object();
            }));
}

void drop_collection(HttpCall& call) {
  const std::string_view name = collection_name(call);
  const Status dropped = drop_index(call.services.store, name);
  if (!dropped) return call.reply.send(dropped.error());
  call.reply.send(answer_dropped(name));
}

/// A damaged one has only its name, and why.
void list_collections(HttpCall& call) {
  Store& store = call.services.store;
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("collections").begin_array();
  for (const std::string& name : list_indexes(store)) {
    const auto index = find_index(store, name, Missing::kGone);
    json.begin_object();
    if (index) {
      write_collection(json, shown_collection(name, *index->collection));
    } else {
      json.name("name").string(name);
      json.name("error").string(index.error().message);
    }
    json.end_object();
  }
  json.end_array();
  json.end_object();
  call.reply.send(std::move(response));
}

void write_options(JsonWriter& json, std::string_view name, std::span<const OptionSpec> options) {
  json.name(name).begin_array();
  for (const OptionSpec& option : options) {
    json.begin_object();
    json.name("name").string(option.name);
    json.name("type").string(option.type_name());
    json.name("range").string(option.range());
    json.name("default").string(option.default_text());
    json.name("help").string(option.help);
    json.end_object();
  }
  json.end_array();
}

void list_primitives(HttpCall& call) {
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("primitives").begin_array();
  for (const Primitive* const primitive : primitives()) {
    json.begin_object();
    json.name("name").string(primitive->name);
    json.name("summary").string(primitive->summary);
    json.name("source").string(primitive->source);
    json.name("exact").boolean(primitive->traits.exact);
    json.name("recalls").boolean(primitive->traits.recalls);
    write_options(json, "options", primitive->create_options);
    write_options(json, "search_options", primitive->search_options);
    write_options(json, "recall_options", primitive->recall_options);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  call.reply.send(std::move(response));
}

constexpr std::string_view kNewCollectionSchema =
    R"({"type":"object","properties":{"dim":{"type":"integer","minimum":1},)"
    R"("metric":{"enum":["cosine","l2","dot"],"default":"cosine"},"primitive":{"type":"string","default":"hnsw"},)"
    R"("options":{"type":"object","additionalProperties":{"type":["string","number"]}}},)"
    R"("required":["dim"],"additionalProperties":false})";
constexpr std::string_view kCollectionSchema =
    R"({"type":"object","properties":{"name":{"type":"string"},"dim":{"type":"integer"},)"
    R"("metric":{"type":"string"},"primitive":{"type":"string"},"count":{"type":"integer"},)"
    R"("info":{"type":"object"}},"required":["name","dim","metric","primitive","count"]})";
constexpr std::string_view kCollectionListSchema =
    R"({"type":"object","properties":{"collections":{"type":"array","items":{"type":"object"}}},)"
    R"("required":["collections"]})";
constexpr std::string_view kDroppedSchema =
    R"({"type":"object","properties":{"name":{"type":"string"},"deleted":{"type":"boolean"}},)"
    R"("required":["name","deleted"]})";
constexpr std::string_view kPrimitivesSchema =
    R"({"type":"object","properties":{"primitives":{"type":"array","items":{"type":"object"}}},)"
    R"("required":["primitives"]})";

constexpr std::array kCollectionRoutes = {
    Route{.method = "GET",
          .path = "/collections",
          .handler = list_collections,
          .kind = CommandKind::kRead,
          .summary = "Lists the collections",
          .response_schema = kCollectionListSchema},
    Route{.method = "PUT",
          .path = "/collections/{name}",
          .handler = put_collection,
          .kind = CommandKind::kWrite,
          .takes_memory = true,
          .summary = "Makes an empty collection with a metric and a retrieval primitive",
          .request_schema = kNewCollectionSchema,
          .response_schema = kCollectionSchema},
    Route{.method = "GET",
          .path = "/collections/{name}",
          .handler = get_collection,
          .kind = CommandKind::kRead,
          .summary = "Describes a collection",
          .response_schema = kCollectionSchema},
    Route{.method = "DELETE",
          .path = "/collections/{name}",
          .handler = drop_collection,
          .kind = CommandKind::kWrite,
          .summary = "Removes a collection with all that it holds",
          .response_schema = kDroppedSchema},
    Route{.method = "GET",
          .path = "/primitives",
          .handler = list_primitives,
          .summary = "Lists the retrieval primitives and their options",
          .response_schema = kPrimitivesSchema},
};

}  // namespace

std::span<const Route> collection_routes() {
  return kCollectionRoutes;
}

}  // namespace engram
