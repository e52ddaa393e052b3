// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/openapi.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "server/doors/http/http_response.h"
#include "server/json/json_writer.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

/// What schemas of routes refer to.
constexpr std::string_view kSchemas =
    R"({"Vector":{"description":"Numbers, or base64 of packed little-endian float32","oneOf":[)"
    R"({"type":"array","items":{"type":"number"},"minItems":1},{"type":"object","properties":)"
    R"({"base64":{"type":"string","contentEncoding":"base64"}},"required":["base64"]}]},)"
    R"("SearchResult":{"type":"object","properties":{"id":{"type":"string"},)"
    R"("distance":{"type":"number"},"raw":{"type":"number"},"strength":{"type":"number"},"metadata":{"type":["object","null"]},)"
    R"("vector":{"type":"array","items":{"type":"number"}}},"required":["id","distance"]},)"
    R"("Error":{"type":"object","properties":{"error":{"type":"string"}},"required":["error"]}})";

constexpr std::string_view kSecuritySchemes =
    R"({"bearer":{"type":"http","scheme":"bearer"},)"
    R"("apiKey":{"type":"apiKey","in":"header","name":"api-key"}})";

/// A server without a password takes requests without one.
constexpr std::string_view kSecurity = R"([{},{"bearer":[]},{"apiKey":[]}])";

struct ErrorKind {
  std::string_view status;
  std::string_view name;
  std::string_view description;
  bool (*applies)(const Route& route);
};

bool has_names(const Route& route) {
  return route.path.find('{') != std::string_view::npos;
}

constexpr std::array kErrorKinds = {
    ErrorKind{"400", "BadRequest", "The request is malformed; the sentence names the field",
              [](const Route& route) {
                return !route.request_schema.empty() || !route.query.empty() || has_names(route);
              }},
    ErrorKind{"401", "Unauthorized", "The password is missing or wrong",
              [](const Route& route) { return !route.is_public; }},
    ErrorKind{"404", "NotFound", "There is no such collection, vector or file", has_names},
    ErrorKind{"409", "Conflict", "The name is taken, or holds something else",
              [](const Route& route) { return has_names(route) && !route.is_public; }},
    ErrorKind{"415", "UnsupportedMediaType", "The body is compressed, or of another type",
              [](const Route& route) { return !route.request_schema.empty(); }},
    ErrorKind{"429", "OutOfMemory", "Memory is used up; Retry-After says when to try again",
              [](const Route& route) { return route.takes_memory; }},
    ErrorKind{"503", "Unavailable", "Changes cannot be kept; Retry-After says when to try again",
              [](const Route& route) { return changes_something(route.kind); }},
    ErrorKind{"default", "Error", "Any other error", [](const Route&) { return true; }},
};

void write_ref(JsonWriter& json, std::string_view section, std::string_view name) {
  json.begin_object();
  json.name("$ref").string("#/components/" + std::string(section) + "/" + std::string(name));
  json.end_object();
}

/// `schema` may be empty: then bytes.
void write_media(JsonWriter& json, std::string_view type, std::string_view schema) {
  json.name(type).begin_object();
  if (!schema.empty()) json.name("schema").raw(schema);
  json.end_object();
}

/// "post_vectors_batch".
std::string operation_id(const Route& route) {
  std::string id = to_lower(route.method);
  for (const char c : route.path) {
    if (c == '{' || c == '}') continue;
    id += c == '/' || c == '.' ? '_' : c;
  }
  return id;
}

/// The first segment of the path, by which operations are listed together.
std::string_view tag_of(const Route& route) {
  const std::string_view path = route.path.substr(1);
  const std::string_view segment = path.substr(0, path.find('/'));
  return segment.empty() || segment == "assets" ? "page" : segment;
}

void write_parameter(JsonWriter& json, std::string_view name, std::string_view where,
                     std::string_view schema, std::string_view help) {
  json.begin_object();
  json.name("name").string(name);
  json.name("in").string(where);
  if (where == "path") json.name("required").boolean(true);
  if (!help.empty()) json.name("description").string(help);
  json.name("schema").raw(schema);
  json.end_object();
}

void write_parameters(JsonWriter& json, const Route& route) {
  json.name("parameters").begin_array();
  std::string_view rest = route.path;
  for (std::size_t at = rest.find('{'); at != std::string_view::npos; at = rest.find('{')) {
    rest.remove_prefix(at + 1);
    write_parameter(json, rest.substr(0, rest.find('}')), "path", R"({"type":"string"})", {});
  }
  for (const QueryParameter& parameter : route.query) {
    write_parameter(json, parameter.name, "query", parameter.schema, parameter.help);
  }
  json.end_array();
}

void write_body(JsonWriter& json, const Route& route) {
  json.name("requestBody").begin_object();
  json.name("required").boolean(true);
  json.name("content").begin_object();
  write_media(json, kJsonType, route.request_schema);
  if (!route.binary_type.empty()) write_media(json, route.binary_type, {});
  json.end_object();
  json.end_object();
}

void write_responses(JsonWriter& json, const Route& route) {
  json.name("responses").begin_object();
  json.name("2XX").begin_object();
  json.name("description").string("Done");
  if (!route.response_schema.empty()) {
    json.name("content").begin_object();
    write_media(json, kJsonType, route.response_schema);
    json.end_object();
  }
  json.end_object();
  for (const ErrorKind& kind : kErrorKinds) {
    if (!kind.applies(route)) continue;
    json.name(kind.status);
    write_ref(json, "responses", kind.name);
  }
  json.end_object();
}

void write_operation(JsonWriter& json, const Route& route) {
  json.name(to_lower(route.method)).begin_object();
  json.name("operationId").string(operation_id(route));
  json.name("summary").string(route.summary);
  json.name("tags").begin_array();
  json.string(tag_of(route));
  json.end_array();
  write_parameters(json, route);
  if (!route.request_schema.empty()) write_body(json, route);
  write_responses(json, route);
  if (route.is_public) json.name("security").raw("[]");
  json.end_object();
}

/// Each path once, with its methods.
void write_paths(JsonWriter& json, std::span<const Route* const> routes) {
  std::vector<std::string_view> written;
  json.name("paths").begin_object();
  for (const Route* const first : routes) {
    if (std::find(written.begin(), written.end(), first->path) != written.end()) continue;
    written.push_back(first->path);
    json.name(first->path).begin_object();
    for (const Route* const route : routes) {
      if (route->path == first->path) write_operation(json, *route);
    }
    json.end_object();
  }
  json.end_object();
}

void write_components(JsonWriter& json) {
  json.name("components").begin_object();
  json.name("schemas").raw(kSchemas);
  json.name("securitySchemes").raw(kSecuritySchemes);
  json.name("responses").begin_object();
  for (const ErrorKind& kind : kErrorKinds) {
    json.name(kind.name).begin_object();
    json.name("description").string(kind.description);
    json.name("content").begin_object();
    write_media(json, kJsonType, R"({"$ref":"#/components/schemas/Error"})");
    json.end_object();
    json.end_object();
  }
  json.end_object();
  json.end_object();
}

}  // namespace

std::string openapi_document(std::span<const Route* const> routes) {
  std::string document;
  JsonWriter json(document);
  json.begin_object();
  json.name("openapi").string("3.1.0");
  json.name("info").begin_object();
  json.name("title").string("engram");
  json.name("summary").string("Associative vector memory");
  json.name("version").string(kVersion);
  json.name("license").raw(R"({"name":"Apache License 2.0","identifier":"Apache-2.0"})");
  json.end_object();
  json.name("servers").raw(R"([{"url":"/"}])");
  json.name("security").raw(kSecurity);
  write_paths(json, routes);
  write_components(json);
  json.end_object();
  return document;
}

}  // namespace engram
