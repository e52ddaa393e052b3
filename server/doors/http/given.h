// SPDX-License-Identifier: Apache-2.0
// What bodies of requests give, before anybody knows the collection that it is for: each route has
// the same body wherever it is carried out. Every error is kInvalidArgument unless said otherwise.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/doors/http/http_request.h"
#include "server/doors/http/json_fields.h"

namespace engram {

/// A vector to be stored. The id is borrowed from the body.
struct GivenVector {
  std::string_view id;
  std::vector<float> vector;
  /// Empty: it is taken away; nothing: the id keeps what it has.
  std::optional<std::string> metadata;
};

/// The body of one vector.
Result<GivenVector> read_given_vector(const HttpRequest& request, JsonBody& body);
/// The body of a batch in JSON, which is not empty.
Result<std::vector<GivenVector>> read_given_vectors(const HttpRequest& request, JsonBody& body);
/// What errors call a vector of a batch.
std::string place_in_batch(std::size_t i);

/// The name of `queries` and of all that read_given_search() reads.
constexpr std::array<std::string_view, 12> search_fields(std::string_view queries) {
  return {queries,
          "k",
          "filter",
          "ef",
          "recall",
          "radius",
          "exact",
          "at",
          "include_metadata",
          "include_vectors",
          "include_raw",
          "include_strength"};
}

/// A search without its queries.
struct GivenSearch {
  std::size_t k = 10;
  std::size_t ef = 0;  ///< 0: as the collection has it
  std::optional<double> recall = {};
  std::optional<double> radius = {};
  std::optional<std::string> filter = {};  ///< in either grammar
  std::optional<std::int64_t> at_ms = {};
  bool is_exact = false;
  bool with_metadata = true;
  bool with_vectors = false;
  bool with_raw = false;
  bool with_strength = false;
};
Result<GivenSearch> read_given_search(const JsonObject& body);

/// The queries of a batch, of which there is one at least.
Result<std::vector<JsonValue>> read_given_queries(const JsonObject& body);

/// A collection to be made. `options` have metric and primitive, too, if they are given.
struct GivenCollection {
  std::size_t dim;
  OptionTexts options;
};
Result<GivenCollection> read_given_collection(const HttpRequest& request);

inline constexpr std::array<std::string_view, 8> kCueFields = {"vector", "id", "mask",  "top",
                                                               "filter", "at", "touch", "options"};
inline constexpr std::array<std::string_view, 4> kStateFields = {"vector", "filter", "at",
                                                                 "options"};

/// The id of a cue that is stored; nothing: the cue is a vector.
Result<std::optional<std::string_view>> read_cue_id(const JsonObject& body);
/// The vector of a cue or a state.
Result<std::vector<float>> read_given_state(const JsonObject& body);
/// All else of a body with kCueFields, or kStateFields, as options of a recall by name.
Result<OptionTexts> read_cue_options(const JsonObject& body);
Result<OptionTexts> read_state_options(const JsonObject& body);

}  // namespace engram
