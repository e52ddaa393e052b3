// SPDX-License-Identifier: Apache-2.0
// What makes a memory of a collection: numbers that it finds by itself, strengths, forgetting, and
// items that become one; and snapshots.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/doors/http/collections.h"
#include "server/doors/http/facts_json.h"
#include "server/doors/http/http_call.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/routes/routes.h"
#include "server/requests/consolidate.h"
#include "server/requests/forget.h"
#include "server/requests/snapshot.h"
#include "server/requests/strength.h"
#include "server/requests/survey.h"

namespace engram {
namespace {

constexpr std::array kSurveyFields = {OptionField{"sample", "SAMPLE"}, OptionField{"seed", "SEED"}};

Result<TuneRequest> read_tune(const RoutedRequest& call) {
  constexpr std::array<std::string_view, 3> kKnown = {"sample", "seed", "options"};
  JsonBody body;
  const auto object = body.read(call.request, kKnown);
  if (!object) return tl::unexpected(object.error());
  auto index = find_tunable_index(call.services.store, collection_name(call), Missing::kGone);
  if (!index) return tl::unexpected(std::move(index.error()));
  TuneRequest request = {{.index = std::move(*index)}};
  OptionTexts options;
  ENGRAM_TRY(read_option_fields(*object, kSurveyFields, options));
  ENGRAM_TRY(read_option_texts(*object, "options", options));
  ENGRAM_TRY(read_options(options.list(), request));
  return request;
}

void tune(HttpCall& call) {
  auto request = read_within_memory(call, read_tune);
  if (!request) return call.reply.send(request.error());
  start(call.services.store, std::move(*request),
        respond<Tuning>(call, 0, [](HttpResponse& response, const Tuning& tuning) {
          JsonWriter json(response.body);
          json.begin_object();
          for (const auto& [name, value] : tuning) json.name(name).number(value);
          json.end_object();
        }));
}

constexpr std::array kDiagnosisParameters = {
    QueryParameter{"sample", R"({"type":"integer","minimum":2,"maximum":4096})",
                   "How many vectors are looked at"},
    QueryParameter{"seed", R"({"type":"integer","minimum":0})", "Draws them"},
    QueryParameter{"filter", R"({"type":"string"})", "A condition on metadata"},
};

Result<DiagnoseRequest> read_diagnosis(const RoutedRequest& call) {
  auto index = find_recalling_index(call.services.store, collection_name(call), Missing::kGone);
  if (!index) return tl::unexpected(std::move(index.error()));
  DiagnoseRequest request = {{.index = std::move(*index)}};
  OptionTexts options;
  for (const QueryParameter& parameter : kDiagnosisParameters) {
    auto value = call.query_value(parameter.name);
    if (!value) return tl::unexpected(std::move(value.error()));
    if (*value) options.add(to_upper(parameter.name), std::move(**value));
  }
  ENGRAM_TRY(read_options(options.list(), request));
  return request;
}

void diagnose(HttpCall& call) {
  auto request = read_within_memory(call, read_diagnosis);
  if (!request) return call.reply.send(request.error());
  start(call.services.store, std::move(*request),
        respond<std::vector<Fact>>(call, 0,
                                   [](HttpResponse& response, const std::vector<Fact>& facts) {
                                     JsonWriter json(response.body);
                                     write_facts(json, facts);
                                   }));
}

using MaybeStrengths = std::vector<std::optional<double>>;

void send_strengths(HttpCall& call, const Result<MaybeStrengths>& strengths) {
  if (!strengths) return call.reply.send(strengths.error());
  HttpResponse response;
  JsonWriter json(response.body);
  json.begin_object();
  json.name("strengths").begin_array();
  for (const auto& strength : *strengths) strength ? json.number(*strength) : json.null();
  json.end_array();
  json.end_object();
  call.reply.send(std::move(response));
}

/// Of so many at most, because the event loop reads them.
constexpr std::size_t kMostStrengths = 10'000;

Result<MaybeStrengths> read_strengths(const RoutedRequest& call) {
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
  const auto ids = object->texts("ids", 0, kMostStrengths);
  if (!ids) return tl::unexpected(ids.error());
  MaybeStrengths strengths;
  strengths.reserve(ids->size());
  for (const std::string_view id : *ids) {
    request.key = id;
    const auto strength = strength_of(call.services.store, request);
    if (!strength) return tl::unexpected(strength.error());
    strengths.push_back(*strength ? std::optional((*strength)->strength) : std::nullopt);
  }
  return strengths;
}

void strengths(HttpCall& call) {
  send_strengths(call, read_within_memory(call, read_strengths));
}

/// Reads a touch, whose keys are borrowed from `body`.
Result<TouchRequest> read_touch(const RoutedRequest& call, JsonBody& body) {
  constexpr std::array<std::string_view, 3> kKnown = {"ids", "gain", "at"};
  constexpr std::array kFields = {OptionField{"gain", "GAIN"}, OptionField{"at", "AT"}};
  const auto object = body.read(call.request, kKnown);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  TouchRequest request = {.index = std::move(*index)};
  auto ids = object->texts("ids", 1);
  if (!ids) return tl::unexpected(std::move(ids.error()));
  request.keys = std::move(*ids);
  OptionTexts options;
  ENGRAM_TRY(read_option_fields(*object, kFields, options));
  ENGRAM_TRY(read_options(options.list(), request));
  return request;
}

void touch_ids(HttpCall& call) {
  JsonBody body;
  const auto request = read_within_memory(
      call, [&body](const RoutedRequest& asked) { return read_touch(asked, body); });
  if (!request) return call.reply.send(request.error());
  send_strengths(call, touch(call.services.store, *request));
}

Result<ForgetRequest> read_forget(const RoutedRequest& call) {
  constexpr std::array<std::string_view, 4> kKnown = {"below", "at", "limit", "dry_run"};
  constexpr std::array kFields = {OptionField{"below", "BELOW"}, OptionField{"at", "AT"},
                                  OptionField{"limit", "LIMIT"}};
  JsonBody body;
  const auto object = body.read(call.request, kKnown);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  ForgetRequest request = {.index = std::move(*index)};
  const auto is_dry = object->flag("dry_run", false);
  if (!is_dry) return tl::unexpected(is_dry.error());
  request.is_dry_run = *is_dry;
  OptionTexts options;
  ENGRAM_TRY(read_option_fields(*object, kFields, options));
  ENGRAM_TRY(read_options(options.list(), request));
  return request;
}

bool forgets(const RoutedRequest& asked) {
  const auto request = read_forget(asked);
  return request && !request->is_dry_run;
}

void forget(HttpCall& call) {
  auto request = read_within_memory(call, read_forget);
  if (!request) return call.reply.send(request.error());
  start(call.services.store, std::move(*request),
        respond<std::vector<WeakItem>>(
            call, 0, [](HttpResponse& response, const std::vector<WeakItem>& items) {
              JsonWriter json(response.body);
              json.begin_object();
              json.name("forgotten").begin_array();
              for (const WeakItem& item : items) json.string(item.key);
              json.end_array();
              json.end_object();
            }));
}

Result<ConsolidateRequest> read_consolidation(const RoutedRequest& call) {
  constexpr std::array<std::string_view, 14> kKnown = {
      "radius", "k",           "method", "keep",     "into", "replay", "by",
      "walk",   "temperature", "seed",   "min_size", "at",   "limit",  "dry_run"};
  constexpr std::array kFields = {OptionField{"radius", "RADIUS"},
                                  OptionField{"k", "K"},
                                  OptionField{"method", "METHOD"},
                                  OptionField{"keep", "KEEP"},
                                  OptionField{"into", "INTO"},
                                  OptionField{"replay", "REPLAY"},
                                  OptionField{"by", "BY"},
                                  OptionField{"walk", "WALK"},
                                  OptionField{"temperature", "TEMPERATURE"},
                                  OptionField{"seed", "SEED"},
                                  OptionField{"min_size", "MINSIZE"},
                                  OptionField{"at", "AT"},
                                  OptionField{"limit", "LIMIT"}};
  JsonBody body;
  const auto object = body.read(call.request, kKnown);
  if (!object) return tl::unexpected(object.error());
  auto index = find_collection(call);
  if (!index) return tl::unexpected(std::move(index.error()));
  ConsolidateRequest request = {.index = std::move(*index)};
  const auto is_dry = object->flag("dry_run", false);
  if (!is_dry) return tl::unexpected(is_dry.error());
  request.is_dry = *is_dry;
  OptionTexts options;
  ENGRAM_TRY(read_option_fields(*object, kFields, options));
  ENGRAM_TRY(read_options(call.services.store, options.list(), request));
  return request;
}

bool consolidates(const RoutedRequest& asked) {
  const auto request = read_consolidation(asked);
  return request && !request->is_dry;
}

void write_group(JsonWriter& json, const ConsolidatedGroup& group) {
  json.begin_object();
  json.name("id").string(group.key);
  json.name("strength").number(group.strength);
  json.name("radius").number(group.radius);
  json.name("variance").number(group.variance);
  json.name("members").begin_array();
  for (const std::string_view member : group.members) json.string(member);
  json.end_array();
  json.end_object();
}

void write_consolidated(HttpResponse& response, const ConsolidateAnswer& answer) {
  JsonWriter json(response.body);
  json.begin_object();
  json.name("items").count(answer.items);
  json.name("members").count(answer.members);
  json.name("dropped").count(answer.dropped);
  json.name("beta").number(answer.beta);
  json.name("lower");
  answer.bounds ? json.number(answer.bounds->lower) : json.null();
  json.name("upper");
  answer.bounds ? json.number(answer.bounds->upper) : json.null();
  json.name("groups").begin_array();
  for (const ConsolidatedGroup& group : answer.groups) write_group(json, group);
  json.end_array();
  json.end_object();
}

void consolidate(HttpCall& call) {
  auto request = read_within_memory(call, read_consolidation);
  if (!request) return call.reply.send(request.error());
  start(call.services.store, std::move(*request),
        respond<ConsolidateAnswer>(call, 0, write_consolidated));
}

void snapshot(HttpCall& call) {
  struct Pending {
    HttpReply reply;
    HttpResponse response;
  };
  const auto pending = std::make_shared<Pending>(Pending{std::move(call.reply), {}});
  const Responder<void> responder = {
      .take =
          [pending](const Status& saved) {
            pending->response =
                saved ? HttpResponse{.body = R"({"saved":true})"} : error_response(saved.error());
          },
      .finish = [pending](Lsn) { pending->reply.send(std::move(pending->response)); }};
  const Status started = start_snapshot(call.services.store, responder);
  if (!started) responder.refuse(started.error());
}

constexpr std::string_view kTuneSchema =
    R"({"type":"object","properties":{"sample":{"type":"integer","minimum":2,"maximum":4096},)"
    R"("seed":{"type":"integer","minimum":0},)"
    R"("options":{"type":"object","additionalProperties":{"type":["string","number"]}}},)"
    R"("additionalProperties":false})";
constexpr std::string_view kTuningSchema =
    R"({"type":"object","additionalProperties":{"type":["number","null"]}})";
constexpr std::string_view kTouchSchema =
    R"({"type":"object","properties":{"ids":{"type":"array","items":{"type":"string"},"minItems":1},)"
    R"("gain":{"type":"number"},"at":{"type":"integer"}},"required":["ids"],)"
    R"("additionalProperties":false})";
constexpr std::string_view kIdsSchema =
    R"({"type":"object","properties":{"ids":{"type":"array","maxItems":10000,"items":{"type":"string"}},)"
    R"("at":{"type":"integer"}},"required":["ids"],"additionalProperties":false})";
constexpr std::string_view kStrengthsSchema =
    R"({"type":"object","properties":{"strengths":{"type":"array","items":)"
    R"({"type":["number","null"]}}},"required":["strengths"]})";
constexpr std::string_view kForgetSchema =
    R"({"type":"object","properties":{"below":{"type":"number","exclusiveMinimum":0},)"
    R"("at":{"type":"integer"},"limit":{"type":"integer","minimum":1},)"
    R"("dry_run":{"type":"boolean","default":false}},"required":["below"],)"
    R"("additionalProperties":false})";
constexpr std::string_view kForgottenSchema =
    R"({"type":"object","properties":{"forgotten":{"type":"array","items":{"type":"string"}}},)"
    R"("required":["forgotten"]})";
constexpr std::string_view kConsolidateSchema =
    R"({"type":"object","properties":{"radius":{"type":"number"},"k":{"type":"integer"},)"
    R"("method":{"enum":["leader","meanshift","kmeans"]},"keep":{"enum":["centroid","medoid"]},)"
    R"("into":{"type":"string"},"replay":{"type":"integer"},"by":{"enum":["strength","langevin"]},)"
    R"("walk":{"type":"integer"},"temperature":{"type":"number"},"seed":{"type":"integer"},)"
    R"("min_size":{"type":"integer"},"at":{"type":"integer"},"limit":{"type":"integer"},)"
    R"("dry_run":{"type":"boolean","default":false}},"additionalProperties":false})";
constexpr std::string_view kConsolidatedSchema =
    R"({"type":"object","properties":{"items":{"type":"integer"},"members":{"type":"integer"},)"
    R"("dropped":{"type":"integer"},"beta":{"type":"number"},"lower":{"type":["number","null"]},)"
    R"("upper":{"type":["number","null"]},"groups":{"type":"array","items":{"type":"object"}}},)"
    R"("required":["items","members","dropped","beta","lower","upper","groups"]})";

constexpr std::array kDynamicsRoutes = {
    Route{.method = "POST",
          .path = "/collections/{name}/tune",
          .handler = tune,
          .kind = CommandKind::kWrite,
          .summary = "Finds the numbers that a collection recalls by in a sample, and keeps them",
          .request_schema = kTuneSchema,
          .response_schema = kTuningSchema,
          .writes_later = true},
    Route{.method = "GET",
          .path = "/collections/{name}/diag",
          .handler = diagnose,
          .kind = CommandKind::kRead,
          .summary = "Describes how a collection recalls, by a sample of its vectors",
          .response_schema = R"({"type":"object"})",
          .query = kDiagnosisParameters},
    Route{.method = "POST",
          .path = "/collections/{name}/strengths",
          .handler = strengths,
          .kind = CommandKind::kRead,
          .summary = "Returns how strong ids are, or were, or will be",
          .request_schema = kIdsSchema,
          .response_schema = kStrengthsSchema},
    Route{.method = "POST",
          .path = "/collections/{name}/touch",
          .handler = touch_ids,
          .kind = CommandKind::kWrite,
          .summary = "Adds to the strengths of ids, which makes them nearer",
          .request_schema = kTouchSchema,
          .response_schema = kStrengthsSchema},
    Route{.method = "POST",
          .path = "/collections/{name}/forget",
          .handler = forget,
          .kind = CommandKind::kUpdate,
          .updates = forgets,
          .summary = "Deletes the vectors that have become weak, weakest first",
          .request_schema = kForgetSchema,
          .response_schema = kForgottenSchema,
          .writes_later = true},
    Route{.method = "POST",
          .path = "/collections/{name}/consolidate",
          .handler = consolidate,
          .kind = CommandKind::kWrite,
          .updates = consolidates,
          .takes_memory = true,
          .summary = "Makes one vector of those that lie near each other",
          .request_schema = kConsolidateSchema,
          .response_schema = kConsolidatedSchema,
          .writes_later = true},
    Route{
        .method = "POST",
        .path = "/snapshot",
        .handler = snapshot,
        .summary = "Takes a snapshot of all data, and answers when it is on disk",
        .response_schema =
            R"({"type":"object","properties":{"saved":{"type":"boolean"}},"required":["saved"]})"},
};

}  // namespace

std::span<const Route> dynamics_routes() {
  return kDynamicsRoutes;
}

}  // namespace engram
