// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/answers.h"

#include "server/requests/shown.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

void write_metadata(JsonWriter& json, std::string_view attributes) {
  json.name("metadata");
  attributes.empty() ? json.null() : json.raw(attributes);
}

void write_id(JsonWriter& json, const std::optional<std::string_view>& id) {
  id ? json.string(*id) : json.null();
}

/// {name: value, "deleted": true}
HttpResponse answer_gone(std::string_view name, std::string_view value) {
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name(name).string(value);
  json.name("deleted").boolean(true);
  json.end_object();
  return response;
}

void write_support(JsonWriter& json, const RecallAnswer& answer) {
  const auto& support = answer.recall.support;
  json.name("support").begin_array();
  for (std::size_t i = 0; i < support.size(); ++i) {
    json.begin_object();
    json.name("id").string(answer.support[i]);
    json.name("weight").number(support[i].weight);
    if (!answer.strengths.empty()) json.name("strength").number(answer.strengths[i]);
    json.end_object();
  }
  json.end_array();
}

}  // namespace

HttpResponse answer_stored(std::string_view id, bool is_new) {
  HttpResponse response = {.status = is_new ? 201 : 200};
  JsonWriter json(response.body);
  json.begin_object();
  json.name("id").string(id);
  json.name("created").boolean(is_new);
  json.end_object();
  return response;
}

HttpResponse answer_stored_batch(std::size_t count, std::size_t created) {
  HttpResponse response = {.status = created > 0 ? 201 : 200};
  JsonWriter json(response.body);
  json.begin_object();
  json.name("stored").count(count);
  json.name("created").count(created);
  json.end_object();
  return response;
}

HttpResponse answer_vector(std::string_view id, std::span<const float> vector,
                           std::string_view attributes) {
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("id").string(id);
  json.name("vector").numbers(vector);
  write_metadata(json, attributes);
  json.end_object();
  return response;
}

HttpResponse answer_deleted(std::string_view id) {
  return answer_gone("id", id);
}

HttpResponse answer_dropped(std::string_view collection) {
  return answer_gone("name", collection);
}

Error no_such_vector(std::string_view id) {
  return {ErrorCode::kNotFound, "there is no vector '" + shown(id) + "'"};
}

void write_collection(JsonWriter& json, const ShownCollection& collection) {
  json.name("name").string(collection.name);
  json.name("dim").count(collection.dim);
  json.name("metric").string(collection.metric);
  json.name("primitive").string(collection.primitive);
  json.name("count").count(collection.count);
}

HttpResponse answer_made(const ShownCollection& collection) {
  HttpResponse response = {.status = 201};
  JsonWriter json(response.body);
  json.begin_object();
  write_collection(json, collection);
  json.end_object();
  return response;
}

void write_result(JsonWriter& json, const ShownResult& result) {
  json.begin_object();
  json.name("id").string(result.id);
  json.name("distance").number(result.distance);
  if (result.raw) json.name("raw").number(*result.raw);
  if (result.strength) json.name("strength").number(*result.strength);
  if (result.attributes) write_metadata(json, *result.attributes);
  if (result.vector) json.name("vector").numbers(*result.vector);
  json.end_object();
}

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
  write_support(json, answer);
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

void write_energy(HttpResponse& response, double energy) {
  JsonWriter json(response.body);
  json.begin_object();
  json.name("energy").number(energy);
  json.end_object();
}

HttpResponse answer_health(std::string_view what, const Error* error) {
  HttpResponse response = {.status = error == nullptr ? 200 : 503};
  JsonWriter json(response.body);
  json.begin_object();
  json.name("status").string(what);
  json.name("version").string(kVersion);
  if (error != nullptr) {
    json.name("error").string(error->message);
    response.fields = "Retry-After: 1\r\n";
  }
  json.end_object();
  return response;
}

}  // namespace engram
