// SPDX-License-Identifier: Apache-2.0
// Vectors of a collection, singly and in batches.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/row.h"
#include "core/text.h"
#include "server/config/config.h"
#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/routes/routes.h"
#include "server/doors/http/vector_batch.h"
#include "server/engine/attributes.h"
#include "server/requests/attributes.h"
#include "server/requests/default_collection.h"
#include "server/requests/put.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// The collection that vectors of `dim` components go to.
Result<PutTarget> find_target(const RoutedRequest& call, std::size_t dim) {
  const ServerConfig& config = call.services.config;
  return find_put_target(call.services.store, {.name = collection_name(call),
                                               .dim = dim,
                                               .metric = config.http_metric,
                                               .primitive = config.http_primitive});
}

/// `where` names a vector in errors; empty: it is the only one.
Status add(PutRequest& put, GivenVector given, const std::string& where) {
  const Status added = put.add(given.id, std::span<const float>(given.vector));
  if (!added) {
    return fail(added.error().code,
                (where.empty() ? "" : "'" + where + "': ") + added.error().message);
  }
  put.attributes_of_each.push_back(std::move(given.metadata));
  return {};
}

/// What is to be stored, all of which was checked. Borrows from the body.
struct Put {
  Put(PutTarget to, std::size_t given) : target(std::move(to)), put(target.index), count(given) {}

  PutTarget target;
  PutRequest put;
  std::size_t count;
};

Result<Put> make_put(const RoutedRequest& call, std::vector<GivenVector> all, bool is_batch) {
  auto target = find_target(call, all.front().vector.size());
  if (!target) return tl::unexpected(std::move(target.error()));
  Put put(std::move(*target), all.size());
  put.put.reserve(std::min(all.size(), most_vectors(call, put.target.index)));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string where = is_batch ? place_in_batch(i) : "";
    ENGRAM_TRY(add(put.put, std::move(all[i]), where));
  }
  return put;
}

template <class Render>
void start_put(HttpCall& call, const Put& put, Render render) {
  Store& store = call.services.store;
  publish(store, put.target);
  start(store, put.put, respond<std::size_t>(call, expected_bytes(put.put), std::move(render)));
}

Result<Put> read_one(const RoutedRequest& call, JsonBody& body) {
  auto given = read_given_vector(call.request, body);
  if (!given) return tl::unexpected(std::move(given.error()));
  std::vector<GivenVector> all;
  all.push_back(std::move(*given));
  return make_put(call, std::move(all), false);
}

void insert(HttpCall& call) {
  JsonBody body;
  const auto put =
      read_within_memory(call, [&](const RoutedRequest& asked) { return read_one(asked, body); });
  if (!put) return call.reply.send(put.error());
  const std::string id(put->put.keys().front());
  start_put(call, *put, [id](HttpResponse& response, std::size_t created) {
    response = answer_stored(id, created == 1);
  });
}

Result<Put> read_json_batch(const RoutedRequest& call, JsonBody& body) {
  auto all = read_given_vectors(call.request, body);
  if (!all) return tl::unexpected(std::move(all.error()));
  return make_put(call, std::move(*all), true);
}

Status add_packed(PutRequest& put, VectorBatch& batch, std::vector<float>& vector) {
  const VectorBatch::Item item = batch.next();
  std::memcpy(vector.data(), item.vector.data(), item.vector.size());
  ENGRAM_TRY(put.add(item.id, std::span<const float>(vector)));
  if (!item.metadata) return {};
  if (!item.metadata->empty()) ENGRAM_TRY(check_attributes(*item.metadata));
  put.attributes_of_each.back() = *item.metadata;
  return {};
}

Result<Put> read_packed_batch(const RoutedRequest& call) {
  auto batch = VectorBatch::read(call.request.body);
  if (!batch) return tl::unexpected(std::move(batch.error()));
  auto target = find_target(call, batch->dim());
  if (!target) return tl::unexpected(std::move(target.error()));
  Put put(std::move(*target), batch->size());
  if (batch->dim() == put.target.index.spec().dim) put.put.reserve(put.count);
  const bool has_metadata = batch->has_metadata();
  std::vector<float> vector(batch->dim());
  for (std::size_t i = 0; i < put.count; ++i) {
    if (has_metadata) put.put.attributes_of_each.emplace_back();
    if (const Status added = add_packed(put.put, *batch, vector); !added) {
      return fail(added.error().code, "'" + place_in_batch(i) + "': " + added.error().message);
    }
  }
  return put;
}

void insert_batch(HttpCall& call) {
  JsonBody body;
  const auto put = read_within_memory(call, [&](const RoutedRequest& asked) {
    const bool is_packed = equal_ignoring_case(asked.request.media_type(), kBinaryType);
    return is_packed ? read_packed_batch(asked) : read_json_batch(asked, body);
  });
  if (!put) return call.reply.send(put.error());
  start_put(call, *put, [count = put->count](HttpResponse& response, std::size_t created) {
    response = answer_stored_batch(count, created);
  });
}

void get(HttpCall& call) {
  Store& store = call.services.store;
  const std::string_view name = collection_name(call);
  const std::string_view id = call.path_value("id");
  const auto vector = get_vector(store, name, id);
  if (!vector) return call.reply.send(vector.error());
  if (!*vector) return call.reply.send(no_such_vector(id));
  const auto attributes = get_attributes(store, name, id);
  if (!attributes) return call.reply.send(attributes.error());
  call.reply.send(answer_vector(id, **vector, attributes->value_or(std::string_view())));
}

void erase(HttpCall& call) {
  auto index = find_collection(call);
  if (!index) return call.reply.send(index.error());
  const std::string id(call.path_value("id"));
  start(call.services.store, EraseRequest{std::move(*index), id},
        respond<bool>(call, 0, [id](HttpResponse& response, bool erased) {
          response = erased ? answer_deleted(id) : error_response(no_such_vector(id));
        }));
}

constexpr std::string_view kGivenSchema =
    R"({"type":"object","properties":{"id":{"type":"string"},"vector":{"$ref":"#/components/schemas/Vector"},)"
    R"("metadata":{"type":["object","null"]}},"required":["id","vector"],"additionalProperties":false})";
constexpr std::string_view kInsertedSchema =
    R"({"type":"object","properties":{"id":{"type":"string"},"created":{"type":"boolean"}},)"
    R"("required":["id","created"]})";
constexpr std::string_view kGivenBatchSchema =
    R"({"type":"object","properties":{"vectors":{"type":"array","minItems":1,"items":)"
    R"({"type":"object","properties":{"id":{"type":"string"},"vector":{"$ref":"#/components/schemas/Vector"},)"
    R"("metadata":{"type":["object","null"]}},"required":["id","vector"],"additionalProperties":false}}},)"
    R"("required":["vectors"],"additionalProperties":false})";
constexpr std::string_view kStoredSchema =
    R"({"type":"object","properties":{"stored":{"type":"integer"},"created":{"type":"integer"}},)"
    R"("required":["stored","created"]})";
constexpr std::string_view kVectorSchema =
    R"({"type":"object","properties":{"id":{"type":"string"},"vector":{"type":"array","items":{"type":"number"}},)"
    R"("metadata":{"type":["object","null"]}},"required":["id","vector","metadata"]})";
constexpr std::string_view kDeletedSchema =
    R"({"type":"object","properties":{"id":{"type":"string"},"deleted":{"type":"boolean"}},)"
    R"("required":["id","deleted"]})";
constexpr Route insert_route(std::string_view path) {
  return {.method = "POST",
          .path = path,
          .handler = insert,
          .kind = CommandKind::kWrite,
          .takes_memory = true,
          .summary = "Stores a vector under an id, replacing the one that was there",
          .request_schema = kGivenSchema,
          .response_schema = kInsertedSchema};
}

constexpr Route insert_batch_route(std::string_view path) {
  return {.method = "POST",
          .path = path,
          .handler = insert_batch,
          .kind = CommandKind::kWrite,
          .takes_memory = true,
          .summary = "Stores several vectors, on all workers at once",
          .request_schema = kGivenBatchSchema,
          .response_schema = kStoredSchema,
          .binary_type = kBinaryType};
}

constexpr Route get_route(std::string_view path) {
  return {.method = "GET",
          .path = path,
          .handler = get,
          .kind = CommandKind::kRead,
          .summary = "Returns a vector with its metadata",
          .response_schema = kVectorSchema};
}

/// It may take a vector set of Redis's commands with it, which reads and then writes.
constexpr Route erase_route(std::string_view path) {
  return {.method = "DELETE",
          .path = path,
          .handler = erase,
          .kind = CommandKind::kUpdate,
          .summary = "Deletes a vector",
          .response_schema = kDeletedSchema};
}

constexpr std::array kVectorRoutes = {
    insert_route("/vectors"),
    insert_batch_route("/vectors/batch"),
    get_route("/vectors/{id}"),
    erase_route("/vectors/{id}"),
    insert_route("/collections/{name}/vectors"),
    insert_batch_route("/collections/{name}/vectors/batch"),
    get_route("/collections/{name}/vectors/{id}"),
    erase_route("/collections/{name}/vectors/{id}"),
};

}  // namespace

std::span<const Route> vector_routes() {
  return kVectorRoutes;
}

}  // namespace engram
