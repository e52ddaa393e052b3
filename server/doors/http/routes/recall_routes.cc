// SPDX-License-Identifier: Apache-2.0
// What the memory makes of a cue, and how well a state fits it. Workers render answers.
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "server/doors/http/answers.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/given.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/recall.h"
#include "server/requests/reinforcement.h"

namespace engram {
namespace {

Result<IndexRef> find_memory(const RoutedRequest& call) {
  return find_recalling_index(call.services.store, collection_name(call), Missing::kGone);
}

Status take_vector(const JsonObject& body, const IndexRef& index, CheckedVectors& vectors) {
  const auto vector = read_given_state(body);
  if (!vector) return tl::unexpected(vector.error());
  const Status added = vectors.add(index, std::span<const float>(*vector));
  if (added) return {};
  return fail(added.error().code, "'vector': " + added.error().message);
}

Result<RecallRequest> read_recall(const RoutedRequest& call) {
  JsonBody body;
  const auto object = body.read(call.request, kCueFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_memory(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  RecallRequest request = {.index = std::move(*index)};
  const auto id = read_cue_id(*object);
  if (!id) return tl::unexpected(id.error());
  if (*id) {
    ENGRAM_TRY(read_stored_cue(**id, request));
  } else {
    ENGRAM_TRY(take_vector(*object, request.index, request.cue));
  }
  const auto options = read_cue_options(*object);
  if (!options) return tl::unexpected(options.error());
  ENGRAM_TRY(read_options(options->list(), request));
  request.strength.fields.strength = request.index.collection->has_strengths();
  return request;
}

/// Of all fields "touch" alone has a u, which an escape may hide.
bool may_say_touch(std::string_view body) {
  const auto has = [body](char c) { return body.find(c) != std::string_view::npos; };
  return has('u') || has('U') || has('\\');
}

/// By what it says, or by a rule of the collection.
bool touches(const RoutedRequest& asked) {
  if (reinforces(asked.services.store, collection_name(asked))) return true;
  // To read it twice costs a tenth of a small recall.
  if (!may_say_touch(asked.request.body)) return false;
  const auto request = read_recall(asked);
  return request && request->strength.touch.has_value();
}

void recall(HttpCall& call) {
  auto request = read_within_memory(call, read_recall);
  if (!request) return call.reply.send(request.error());
  const std::size_t expected =
      expected_bytes(*request) + request->index.spec().dim * kJsonNumberBytes;
  start(call.services.store, std::move(*request),
        respond<RecallAnswer>(call, expected, write_recall));
}

Result<EnergyRequest> read_energy(const RoutedRequest& call) {
  JsonBody body;
  const auto object = body.read(call.request, kStateFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_memory(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  EnergyRequest request = {.index = std::move(*index)};
  ENGRAM_TRY(take_vector(*object, request.index, request.state));
  const auto options = read_state_options(*object);
  if (!options) return tl::unexpected(options.error());
  ENGRAM_TRY(read_options(options->list(), request));
  return request;
}

void energy(HttpCall& call) {
  auto request = read_within_memory(call, read_energy);
  if (!request) return call.reply.send(request.error());
  const std::size_t expected = expected_bytes(*request);
  start(call.services.store, std::move(*request), respond<double>(call, expected, write_energy));
}

constexpr std::string_view kCueSchema =
    R"({"type":"object","properties":{"vector":{"$ref":"#/components/schemas/Vector"},"id":{"type":"string"},)"
    R"("mask":{"type":"string"},"top":{"type":"integer","minimum":0,"default":10},)"
    R"("filter":{"type":["object","string"]},"at":{"type":"integer"},"touch":{"type":"number"},)"
    R"("options":{"type":"object","additionalProperties":{"type":["string","number"]}}},)"
    R"("additionalProperties":false})";
constexpr std::string_view kRecallSchema =
    R"({"type":"object","properties":{"state":{"type":"array","items":{"type":"number"}},)"
    R"("attractor":{"type":["string","null"]},"weight":{"type":"number"},"distance":{"type":["number","null"]},)"
    R"("onestep":{"type":["string","null"]},"posterior":{"type":"number"},"entropy":{"type":"number"},)"
    R"("kind":{"enum":["empty","pattern","emergent","global","metastable","mixed"]},)"
    R"("outside":{"type":"boolean"},"neff":{"type":"number"},"support":{"type":"array","items":)"
    R"({"type":"object","properties":{"id":{"type":"string"},"weight":{"type":"number"},)"
    R"("strength":{"type":"number"}},"required":["id","weight"]}},)"
    R"("energies":{"type":"array","items":{"type":["number","null"]}},"steps":{"type":"integer"},)"
    R"("converged":{"type":"boolean"},"novel":{"type":["boolean","null"]},"truncated":{"type":"number"},)"
    R"("exact":{"type":"boolean"},"beta":{"type":"number"}},"required":["state","attractor","energies","steps"]})";
constexpr std::string_view kStateSchema =
    R"({"type":"object","properties":{"vector":{"$ref":"#/components/schemas/Vector"},)"
    R"("filter":{"type":["object","string"]},"at":{"type":"integer"},)"
    R"("options":{"type":"object","additionalProperties":{"type":["string","number"]}}},)"
    R"("required":["vector"],"additionalProperties":false})";
constexpr std::string_view kEnergySchema =
    R"({"type":"object","properties":{"energy":{"type":["number","null"]}},"required":["energy"]})";

constexpr std::array kRecallRoutes = {
    Route{.method = "POST",
          .path = "/collections/{name}/recall",
          .handler = recall,
          .kind = CommandKind::kUpdate,
          .updates = touches,
          .summary = "Completes a cue, which may be noisy or partly hidden",
          .request_schema = kCueSchema,
          .response_schema = kRecallSchema},
    Route{.method = "POST",
          .path = "/collections/{name}/energy",
          .handler = energy,
          .kind = CommandKind::kRead,
          .summary = "Returns the energy of a state: the lower, the better it fits",
          .request_schema = kStateSchema,
          .response_schema = kEnergySchema},
};

}  // namespace

std::span<const Route> recall_routes() {
  return kRecallRoutes;
}

}  // namespace engram
