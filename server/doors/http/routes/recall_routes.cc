// SPDX-License-Identifier: Apache-2.0
// What the memory makes of a cue, and how well a state fits it. Workers render answers.
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "server/doors/http/collections.h"
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

constexpr OptionField kFilterField = {"filter", "FILTER", true};
constexpr OptionField kTimeField = {"at", "AT"};

Status take_vector(const JsonObject& body, const IndexRef& index, CheckedVectors& vectors) {
  const auto value = body.require("vector", "an array of numbers");
  if (!value) return tl::unexpected(value.error());
  const auto vector = read_vector(*value, "vector");
  if (!vector) return tl::unexpected(vector.error());
  const Status added = vectors.add(index, std::span<const float>(*vector));
  if (added) return {};
  return fail(added.error().code, "'vector': " + added.error().message);
}

Result<RecallRequest> read_recall(const RoutedRequest& call) {
  constexpr std::array<std::string_view, 8> kFields = {"vector", "id", "mask",  "top",
                                                       "filter", "at", "touch", "options"};
  constexpr std::array kCueOptions = {OptionField{"mask", "MASK"}, OptionField{"top", "TOP"},
                                      kFilterField, kTimeField, OptionField{"touch", "TOUCH"}};
  JsonBody body;
  const auto object = body.read(call.request, kFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_memory(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  RecallRequest request = {.index = std::move(*index)};
  const auto id = object->optional_text("id");
  if (!id) return tl::unexpected(id.error());
  if (*id && object->find("vector")) {
    return fail(ErrorCode::kInvalidArgument, "the cue is 'vector' or 'id', not both");
  }
  if (*id) {
    ENGRAM_TRY(read_stored_cue(**id, request));
  } else {
    ENGRAM_TRY(take_vector(*object, request.index, request.cue));
  }
  OptionTexts options;
  ENGRAM_TRY(read_option_texts(*object, "options", options));
  ENGRAM_TRY(read_option_fields(*object, kCueOptions, options));
  ENGRAM_TRY(read_options(options.list(), request));
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

void write_id(JsonWriter& json, const std::optional<std::string_view>& id) {
  id ? json.string(*id) : json.null();
}

/// On a worker.
void write_recall(HttpResponse& response, const RecallAnswer& answer) {
  const Recall& recall = answer.recall;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("state").numbers(recall.state);
  json.name("attractor");
  write_id(json, answer.attractor);
  json.name("weight").number(recall.attractor ? recall.attractor->weight : 0.0);
  json.name("distance");
  recall.attractor ? json.number(recall.distance) : json.null();
  json.name("onestep");
  write_id(json, answer.onestep);
  json.name("posterior").number(recall.onestep ? recall.onestep->weight : 0.0);
  json.name("entropy").number(recall.entropy);
  json.name("kind").string(kRecallKindNames[static_cast<std::size_t>(recall.kind)]);
  json.name("outside").boolean(recall.outside);
  json.name("neff").number(recall.effective_count);
  json.name("support").begin_array();
  for (std::size_t i = 0; i < recall.support.size(); ++i) {
    json.begin_object();
    json.name("id").string(answer.support[i]);
    json.name("weight").number(recall.support[i].weight);
    if (!answer.strengths.empty()) json.name("strength").number(answer.strengths[i]);
    json.end_object();
  }
  json.end_array();
  json.name("energies").begin_array();
  for (const double energy : recall.energies) json.number(energy);
  json.end_array();
  json.name("steps").count(recall.steps);
  json.name("converged").boolean(recall.converged);
  json.name("novel");
  recall.novel ? json.boolean(*recall.novel) : json.null();
  json.name("truncated").number(recall.truncated);
  json.name("exact").boolean(recall.exact);
  json.name("beta").number(recall.beta);
  json.end_object();
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
  constexpr std::array<std::string_view, 4> kFields = {"vector", "filter", "at", "options"};
  constexpr std::array kStateOptions = {kFilterField, kTimeField};
  JsonBody body;
  const auto object = body.read(call.request, kFields);
  if (!object) return tl::unexpected(object.error());
  auto index = find_memory(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  EnergyRequest request = {.index = std::move(*index)};
  ENGRAM_TRY(take_vector(*object, request.index, request.state));
  OptionTexts options;
  ENGRAM_TRY(read_option_texts(*object, "options", options));
  ENGRAM_TRY(read_option_fields(*object, kStateOptions, options));
  ENGRAM_TRY(read_options(options.list(), request));
  return request;
}

void energy(HttpCall& call) {
  auto request = read_within_memory(call, read_energy);
  if (!request) return call.reply.send(request.error());
  const std::size_t expected = expected_bytes(*request);
  start(call.services.store, std::move(*request),
        respond<double>(call, expected, [](HttpResponse& response, double energy) {
          JsonWriter json(response.body);
          json.begin_object();
          json.name("energy").number(energy);
          json.end_object();
        }));
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
