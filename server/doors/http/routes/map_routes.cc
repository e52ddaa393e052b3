// SPDX-License-Identifier: Apache-2.0
// What people look at: where items lie.
#include <array>
#include <cstddef>
#include <utility>

#include "server/doors/http/collections.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/answer_size.h"
#include "server/requests/map.h"

namespace engram {
namespace {

/// A page that draws has no use for more.
constexpr std::size_t kMostMapBytes = std::size_t{64} << 20;
constexpr std::size_t kPointBytes = 64;  // of its numbers, and what frames them

void write_pair(JsonWriter& json, const std::array<double, 2>& pair) {
  json.begin_array();
  for (const double value : pair) json.number(value);
  json.end_array();
}

/// On a worker.
void write_map(HttpResponse& response, const MapAnswer& map) {
  std::size_t bytes = map.axes.size() * kJsonNumberBytes;
  for (const MapPoint& point : map.points) {
    bytes += point.key.size() + point.attributes.size() + kPointBytes;
  }
  if (const Status checked = check_answer_bytes(bytes, kMapSample.name, kMostMapBytes); !checked) {
    response = error_response(checked.error());
    return;
  }
  response.body.reserve(bytes);
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

constexpr std::string_view kMapSchema =
    R"({"type":"object","properties":{"points":{"type":"array","items":{"type":"object","properties":)"
    R"({"id":{"type":"string"},"x":{"type":"number"},"y":{"type":"number"},"metadata":{"type":"object"}},)"
    R"("required":["id","x","y"]}},)"
    R"("axes":{"type":"array","items":{"type":"array","items":{"type":"number"}}},)"
    R"("origin":{"type":"array","items":{"type":"number"}},)"
    R"("shares":{"type":"array","items":{"type":"number"}}},"required":["points","axes","origin","shares"]})";
constexpr std::array kMapRoutes = {
    Route{.method = "GET",
          .path = "/collections/{name}/map",
          .handler = map,
          .kind = CommandKind::kRead,
          .summary = "Lays a sample out in the plane of its two principal axes",
          .response_schema = kMapSchema},
};

}  // namespace

std::span<const Route> map_routes() {
  return kMapRoutes;
}

}  // namespace engram
