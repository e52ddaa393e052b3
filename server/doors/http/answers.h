// SPDX-License-Identifier: Apache-2.0
// What routes answer, as JSON: the same wherever they are carried out.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "core/result.h"
#include "server/doors/http/http_response.h"
#include "server/json/json_writer.h"
#include "server/requests/recall.h"

namespace engram {

HttpResponse answer_stored(std::string_view id, bool is_new);
HttpResponse answer_stored_batch(std::size_t count, std::size_t created);
/// `attributes`: JSON; empty: it has none.
HttpResponse answer_vector(std::string_view id, std::span<const float> vector,
                           std::string_view attributes);
HttpResponse answer_deleted(std::string_view id);
HttpResponse answer_dropped(std::string_view collection);
/// kNotFound.
Error no_such_vector(std::string_view id);

struct ShownCollection {
  std::string_view name;
  std::size_t dim;
  std::string_view metric;
  std::string_view primitive;
  std::size_t count;
};
/// Its members, in an object that is open.
void write_collection(JsonWriter& json, const ShownCollection& collection);
HttpResponse answer_made(const ShownCollection& collection);

/// A result of a search; what is not there is not shown.
struct ShownResult {
  std::string_view id;
  float distance;
  std::optional<float> raw = {};
  std::optional<double> strength = {};
  std::optional<std::string_view> attributes = {};  ///< as those of answer_vector()
  std::optional<std::span<const float>> vector = {};
};
void write_result(JsonWriter& json, const ShownResult& result);

void write_recall(HttpResponse& response, const RecallAnswer& answer);
void write_energy(HttpResponse& response, double energy);

/// `error`: why the service is in the state `what`; null: all is well.
HttpResponse answer_health(std::string_view what, const Error* error);

}  // namespace engram
