// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/given.h"

#include <utility>

#include "server/engine/attributes.h"

namespace engram {
namespace {

constexpr std::array<std::string_view, 3> kVectorFields = {"id", "vector", "metadata"};
constexpr OptionField kFilterField = {"filter", "FILTER", true};
constexpr OptionField kTimeField = {"at", "AT"};

/// null takes it away, and without the field the id keeps what it has.
Result<std::optional<std::string>> read_metadata(const JsonObject& object) {
  const auto value = object.find("metadata");
  if (!value) return std::optional<std::string>();
  if (value->kind() == JsonKind::kNull) return std::optional<std::string>("");
  if (value->kind() != JsonKind::kObject) return object.wrong("metadata", "an object, or null");
  auto text = value->text();
  if (const Status checked = check_attributes(text); !checked) {
    return fail(checked.error().code,
                "'" + object.path("metadata") + "': " + checked.error().message);
  }
  return std::optional(std::move(text));
}

Result<GivenVector> read_vector_of(const JsonObject& object) {
  GivenVector given;
  const auto id = object.text("id");
  if (!id) return tl::unexpected(id.error());
  given.id = *id;
  const auto value = object.require("vector", "an array of numbers");
  if (!value) return tl::unexpected(value.error());
  auto vector = read_vector(*value, object.path("vector"));
  if (!vector) return tl::unexpected(std::move(vector.error()));
  given.vector = std::move(*vector);
  auto metadata = read_metadata(object);
  if (!metadata) return tl::unexpected(std::move(metadata.error()));
  given.metadata = std::move(*metadata);
  return given;
}

Result<std::optional<std::string>> read_filter(const JsonObject& body) {
  const auto value = body.find("filter");
  if (!value || value->kind() == JsonKind::kNull) return std::optional<std::string>();
  if (value->kind() == JsonKind::kString) return std::optional(std::string(value->string()));
  if (value->kind() == JsonKind::kObject) return std::optional(value->text());
  return body.wrong("filter", "an object, or a string in Redis's grammar");
}

Status take_numbers(const JsonObject& body, GivenSearch& search) {
  const auto k = body.optional_count("k");
  if (!k) return tl::unexpected(k.error());
  search.k = k->value_or(search.k);
  const auto ef = body.optional_count("ef");
  if (!ef) return tl::unexpected(ef.error());
  if (*ef == std::size_t{0}) return body.wrong("ef", "at least 1");
  search.ef = ef->value_or(0);
  const auto recall = body.optional_number("recall");
  if (!recall) return tl::unexpected(recall.error());
  search.recall = *recall;
  const auto radius = body.optional_number("radius");
  if (!radius) return tl::unexpected(radius.error());
  search.radius = *radius;
  const auto at = body.optional_count("at");
  if (!at) return tl::unexpected(at.error());
  if (*at) search.at_ms = static_cast<std::int64_t>(**at);
  return {};
}

Status take_flag(const JsonObject& body, std::string_view name, bool& value) {
  const auto flag = body.flag(name, value);
  if (!flag) return tl::unexpected(flag.error());
  value = *flag;
  return {};
}

}  // namespace

Result<GivenVector> read_given_vector(const HttpRequest& request, JsonBody& body) {
  const auto object = body.read(request, kVectorFields);
  if (!object) return tl::unexpected(object.error());
  return read_vector_of(*object);
}

Result<std::vector<GivenVector>> read_given_vectors(const HttpRequest& request, JsonBody& body) {
  constexpr std::array<std::string_view, 1> kFields = {"vectors"};
  const auto whole = body.read(request, kFields);
  if (!whole) return tl::unexpected(whole.error());
  const auto items = whole->array("vectors");
  if (!items) return tl::unexpected(items.error());
  if (items->empty()) return whole->wrong("vectors", "an array of at least one vector");
  std::vector<GivenVector> all;
  all.reserve(items->size());
  for (std::size_t i = 0; i < items->size(); ++i) {
    const auto object = JsonObject::read((*items)[i], place_in_batch(i), kVectorFields);
    if (!object) return tl::unexpected(object.error());
    auto given = read_vector_of(*object);
    if (!given) return tl::unexpected(std::move(given.error()));
    all.push_back(std::move(*given));
  }
  return all;
}

std::string place_in_batch(std::size_t i) {
  return "vectors[" + std::to_string(i) + "]";
}

Result<GivenSearch> read_given_search(const JsonObject& body) {
  GivenSearch search;
  ENGRAM_TRY(take_numbers(body, search));
  auto filter = read_filter(body);
  if (!filter) return tl::unexpected(std::move(filter.error()));
  search.filter = std::move(*filter);
  ENGRAM_TRY(take_flag(body, "include_raw", search.with_raw));
  ENGRAM_TRY(take_flag(body, "include_strength", search.with_strength));
  ENGRAM_TRY(take_flag(body, "exact", search.is_exact));
  ENGRAM_TRY(take_flag(body, "include_metadata", search.with_metadata));
  ENGRAM_TRY(take_flag(body, "include_vectors", search.with_vectors));
  return search;
}

Result<std::vector<JsonValue>> read_given_queries(const JsonObject& body) {
  auto queries = body.array("vectors");
  if (queries && queries->empty()) {
    return body.wrong("vectors", "an array of at least one vector");
  }
  return queries;
}

Result<GivenCollection> read_given_collection(const HttpRequest& request) {
  constexpr std::array<std::string_view, 4> kKnown = {"dim", "metric", "primitive", "options"};
  JsonBody body;
  const auto object = body.read(request, kKnown);
  if (!object) return tl::unexpected(object.error());
  const auto dim = object->optional_count("dim");
  if (!dim) return tl::unexpected(dim.error());
  if (!*dim) {
    return fail(ErrorCode::kInvalidArgument, "'dim' is missing, it must be a whole number");
  }
  GivenCollection given = {.dim = **dim, .options = {}};
  ENGRAM_TRY(read_option_texts(*object, "options", given.options));
  for (const std::string_view name : {"metric", "primitive"}) {
    const auto text = object->optional_text(name);
    if (!text) return tl::unexpected(text.error());
    if (*text) given.options.add(name, std::string(**text));
  }
  return given;
}

Result<std::optional<std::string_view>> read_cue_id(const JsonObject& body) {
  auto id = body.optional_text("id");
  if (id && *id && body.find("vector")) {
    return fail(ErrorCode::kInvalidArgument, "the cue is 'vector' or 'id', not both");
  }
  return id;
}

Result<std::vector<float>> read_given_state(const JsonObject& body) {
  const auto value = body.require("vector", "an array of numbers");
  if (!value) return tl::unexpected(value.error());
  return read_vector(*value, "vector");
}

Result<OptionTexts> read_cue_options(const JsonObject& body) {
  constexpr std::array kFields = {OptionField{"mask", "MASK"}, OptionField{"top", "TOP"},
                                  kFilterField, kTimeField, OptionField{"touch", "TOUCH"}};
  OptionTexts options;
  ENGRAM_TRY(read_option_texts(body, "options", options));
  ENGRAM_TRY(read_option_fields(body, kFields, options));
  return options;
}

Result<OptionTexts> read_state_options(const JsonObject& body) {
  constexpr std::array kFields = {kFilterField, kTimeField};
  OptionTexts options;
  ENGRAM_TRY(read_option_texts(body, "options", options));
  ENGRAM_TRY(read_option_fields(body, kFields, options));
  return options;
}

}  // namespace engram
