// SPDX-License-Identifier: Apache-2.0
// What people look at: where items lie, and how strong they are at a time.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/answer_size.h"
#include "server/requests/map.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

void write_pair(JsonWriter& json, const std::array<double, 2>& pair) {
  json.begin_array();
  for (const double value : pair) json.number(value);
  json.end_array();
}

/// On a worker.
void write_map(HttpResponse& response, const MapAnswer& map) {
  JsonWriter json(response.body);
  json.begin_object();
  json.name("points").begin_array();
  for (const MapPoint& point : map.points) {
    json.begin_object();
    json.name("id").string(point.key);
    json.name("x").number(point.x);
    json.name("y").number(point.y);
    if (!point.attributes.empty()) json.name("metadata").raw(point.attributes);
    json.end_object();
  }
  json.end_array();
  json.name("axes").begin_array();
  const std::size_t dim = map.axes.size() / 2;
  for (std::size_t axis = 0; axis < 2; ++axis) json.numbers(map.axes.subspan(axis * dim, dim));
  json.end_array();
  json.name("origin");
  write_pair(json, map.origin);
  json.name("shares");
  write_pair(json, map.shares);
  json.end_object();
}

void map(HttpCall& call) {
  auto index = find_collection(call);
  if (!index) return call.reply.send(index.error());
  MapRequest request = {.index = std::move(*index)};
  const auto sample = call.query_value("sample");
  if (!sample) return call.reply.send(sample.error());
  if (*sample) {
    const auto count = kMapSample.read(**sample);
    if (!count) return call.reply.send(count.error());
    request.sample = *count;
  }
  const std::size_t expected = request.sample * result_bytes(*request.index.collection) +
                               2 * request.index.spec().dim * kJsonNumberBytes;
  start(call.services.store, std::move(request), respond<MapAnswer>(call, expected, write_map));
}

constexpr std::size_t kMostStrengths = 10'000;

Result<std::vector<std::string_view>> read_ids(const JsonObject& body) {
  const auto items = body.array("ids");
  if (!items) return tl::unexpected(items.error());
  if (items->size() > kMostStrengths) {
    return body.wrong("ids", "an array of at most " + std::to_string(kMostStrengths) + " ids");
  }
  std::vector<std::string_view> ids;
  ids.reserve(items->size());
  for (const JsonValue& item : *items) {
    if (item.kind() != JsonKind::kString) return body.wrong("ids", "an array of strings");
    ids.push_back(item.string());
  }
  return ids;
}

Result<std::string> strengths_of(const HttpCall& call) {
  constexpr std::array<std::string_view, 2> kFields = {"ids", "at"};
  JsonBody body;
  const auto object = body.read(call.request, kFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  StrengthRequest request = {.index = std::move(*index)};
  const auto at = object->optional_count("at");
  if (!at) return tl::unexpected(at.error());
  if (*at) request.strength.at_ms = static_cast<std::int64_t>(**at);
  const auto ids = read_ids(*object);
  if (!ids) return tl::unexpected(ids.error());
  std::string text;
  JsonWriter json(text);
  json.begin_object();
  json.name("strengths").begin_array();
  for (const std::string_view id : *ids) {
    request.key = id;
    const auto strength = strength_of(call.services.store, request);
    if (!strength) return tl::unexpected(strength.error());
    *strength ? json.number((*strength)->strength) : json.null();
  }
  json.end_array();
  json.end_object();
  return text;
}

void strengths(HttpCall& call) {
  auto text = strengths_of(call);
  if (!text) return call.reply.send(text.error());
  HttpResponse response;
  response.body = std::move(*text);
  call.reply.send(std::move(response));
}

constexpr std::string_view kMapSchema =
    R"({"type":"object","properties":{"points":{"type":"array","items":{"type":"object","properties":)"
    R"({"id":{"type":"string"},"x":{"type":"number"},"y":{"type":"number"},"metadata":{"type":"object"}},)"
    R"("required":["id","x","y"]}},)"
    R"("axes":{"type":"array","items":{"type":"array","items":{"type":"number"}}},)"
    R"("origin":{"type":"array","items":{"type":"number"}},)"
    R"("shares":{"type":"array","items":{"type":"number"}}},"required":["points","axes","origin","shares"]})";
constexpr std::string_view kIdsSchema =
    R"({"type":"object","properties":{"ids":{"type":"array","maxItems":10000,"items":{"type":"string"}},)"
    R"("at":{"type":"integer"}},"required":["ids"],"additionalProperties":false})";
constexpr std::string_view kStrengthsSchema =
    R"({"type":"object","properties":{"strengths":{"type":"array","items":{"type":["number","null"]}}},)"
    R"("required":["strengths"]})";

constexpr std::array kMapRoutes = {
    Route{.method = "GET",
          .path = "/collections/{name}/map",
          .handler = map,
          .kind = CommandKind::kRead,
          .summary = "Lays a sample out in the plane of its two principal axes",
          .response_schema = kMapSchema},
    Route{.method = "POST",
          .path = "/collections/{name}/strengths",
          .handler = strengths,
          .kind = CommandKind::kRead,
          .summary = "Returns how strong ids are, or were, or will be",
          .request_schema = kIdsSchema,
          .response_schema = kStrengthsSchema},
};

}  // namespace

std::span<const Route> map_routes() {
  return kMapRoutes;
}

}  // namespace engram
