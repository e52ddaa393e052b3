// SPDX-License-Identifier: Apache-2.0
// The vectors of a collection, a page at a time.
#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "server/doors/http/collections.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/answer_size.h"
#include "server/requests/arguments.h"
#include "server/requests/shown.h"
#include "server/requests/vector_set_members.h"

namespace engram {
namespace {

constexpr CountArgument kLimit = {"limit", 1, 1000};
constexpr std::size_t kDefaultLimit = 100;
/// The item that reaches it is the last of its page.
constexpr std::size_t kFullPageBytes = 8UL * 1024 * 1024;

/// What a page of a listing shows of each vector.
struct ListedFields {
  std::size_t limit = kDefaultLimit;
  bool vectors = false;
  bool metadata = false;
};

Result<bool> query_flag(const RoutedRequest& call, std::string_view name) {
  const auto text = call.query_value(name);
  if (!text) return tl::unexpected(text.error());
  if (!*text || **text == "false") return false;
  if (**text == "true") return true;
  return fail(
      ErrorCode::kInvalidArgument,
      "the parameter " + std::string(name) + " must be true or false, got '" + shown(**text) + "'");
}

Result<ListedFields> read_listing(const RoutedRequest& call, RangeRequest& request) {
  ListedFields fields;
  const auto limit = call.query_value("limit");
  if (!limit) return tl::unexpected(limit.error());
  if (*limit) {
    const auto count = kLimit.read(**limit);
    if (!count) return tl::unexpected(count.error());
    fields.limit = *count;
  }
  const auto cursor = call.query_value("cursor");
  if (!cursor) return tl::unexpected(cursor.error());
  if (*cursor) {
    request.from = read_cursor(**cursor);
    if (!request.from) {
      return fail(
          ErrorCode::kInvalidArgument,
          "the parameter cursor must be what a page has as next, got '" + shown(**cursor) + "'");
    }
  }
  request.without_from = true;
  request.limit = fields.limit + 1;  // whether there are more
  const auto vectors = query_flag(call, "vectors");
  if (!vectors) return tl::unexpected(vectors.error());
  const auto metadata = query_flag(call, "metadata");
  if (!metadata) return tl::unexpected(metadata.error());
  fields.vectors = *vectors;
  fields.metadata = *metadata;
  return fields;
}

/// On a worker. Ends where the page is full.
void write_page(HttpResponse& response, const RangeAnswer& answer, const ListedFields& fields) {
  const std::size_t most = std::min(answer.items.size(), fields.limit);
  std::vector<float> vector(fields.vectors && answer.view != nullptr ? answer.view->spec().dim : 0);
  JsonWriter json(response.body);
  json.begin_object();
  json.name("vectors").begin_array();
  std::size_t listed = 0;
  for (; listed < most && response.body.size() < kFullPageBytes; ++listed) {
    const RangeItem& item = answer.items[listed];
    json.begin_object();
    json.name("id").string(item.key);
    if (fields.vectors) {
      answer.view->read(item.slot, vector);
      json.name("vector").numbers(vector);
    }
    if (fields.metadata) {
      const std::string_view attributes = answer.view->attributes_of(item.slot);
      json.name("metadata");
      attributes.empty() ? json.null() : json.raw(attributes);
    }
    json.end_object();
  }
  json.end_array();
  json.name("next");
  listed < answer.items.size() ? json.string(cursor_of(answer.items[listed - 1].key)) : json.null();
  json.end_object();
}

void list(HttpCall& call) {
  RangeRequest request;
  const auto fields = read_listing(call, request);
  if (!fields) return call.reply.send(fields.error());
  const std::string_view name = collection_name(call);
  if (name == kDefaultCollection && !call.services.store.keyspace().contains(name)) {
    HttpResponse response;
    write_page(response, {}, *fields);
    return call.reply.send(std::move(response));
  }
  auto index = find_collection(call);
  if (!index) return call.reply.send(index.error());
  request.index = std::move(*index);
  const Collection& collection = *request.index.collection;
  const std::size_t each = result_bytes(collection) +
                           (fields->vectors ? request.index.spec().dim * kJsonNumberBytes : 0);
  const std::size_t expected =
      std::min(each * std::min(fields->limit, collection.size()), kFullPageBytes);
  start(call.services.store, request,
        respond<RangeAnswer>(call, expected,
                             [fields = *fields](HttpResponse& response, const RangeAnswer& answer) {
                               write_page(response, answer, fields);
                             }));
}

constexpr std::string_view kPageSchema =
    R"({"type":"object","properties":{"vectors":{"type":"array","items":{"type":"object","properties":)"
    R"({"id":{"type":"string"},"vector":{"type":"array","items":{"type":"number"}},)"
    R"("metadata":{"type":["object","null"]}},"required":["id"]}},"next":{"type":["string","null"]}},)"
    R"("required":["vectors","next"]})";

constexpr std::array kListParameters = {
    QueryParameter{"limit", R"({"type":"integer","minimum":1,"maximum":1000,"default":100})",
                   "The most that a page lists"},
    QueryParameter{"cursor", R"({"type":"string"})", "The next of the page before"},
    QueryParameter{"vectors", R"({"type":"boolean","default":false})", "Shows vectors"},
    QueryParameter{"metadata", R"({"type":"boolean","default":false})", "Shows metadata"},
};

constexpr Route list_route(std::string_view path) {
  return {.method = "GET",
          .path = path,
          .handler = list,
          .kind = CommandKind::kRead,
          .summary = "Lists ids in the order of their bytes, a page at a time",
          .response_schema = kPageSchema,
          .query = kListParameters};
}

constexpr std::array kListingRoutes = {
    list_route("/vectors"),
    list_route("/collections/{name}/vectors"),
};

}  // namespace

std::span<const Route> listing_routes() {
  return kListingRoutes;
}

}  // namespace engram
