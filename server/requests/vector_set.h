// SPDX-License-Identifier: Apache-2.0
// Elements of vector sets as Redis 8 has them, which are indexes here: a set is made by its first
// element, and any index may be written and asked like one. Errors are Redis's sentences where
// Redis has one.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/element.h"
#include "core/result.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

/// An element to be put into a set.
struct SetPutRequest {
  std::string_view set;  ///< borrowed until start() returns, as is all that is borrowed here
  std::string_view element = {};
  std::vector<float> vector = {};
  std::optional<std::size_t> reduce = {};    ///< to so many dimensions, at most those of `vector`
  std::optional<Element> element_type = {};  ///< none: sq8, if the set is to be made
  std::optional<std::size_t> m = {};         ///< none: 16, if the set is to be made
  std::optional<std::string_view> attributes =
      {};                              ///< JSON object, or empty for none; none: as it has
  std::optional<std::size_t> ef = {};  ///< of inserts, if the set is to be made
};

inline constexpr std::size_t kLeastSetM = 4;
inline constexpr std::size_t kMostSetM = 512;

/// Answers whether the element is new. A set that is not there is made: hnsw, under cosine.
/// Errors: kInvalidArgument, kWrongType; those of a put.
void start(Store& store, const SetPutRequest& request, const Responder<bool>& responder);

/// Checks a vector for the set, which may have a projection. Errors: kInvalidArgument.
Status check_set_dimension(const IndexRef& set, std::size_t dim);

/// A vector as it is kept.
struct RawVector {
  std::string_view type;   ///< as VINFO calls it: int8, bin or f32
  std::string bytes = {};  ///< of the vector divided by its norm: float32, one int8 a component, or
                           ///< one bit, the lowest first, in words of 64
  double norm = 0;
  std::optional<double> range = {};  ///< int8: the component that 127 stands for
};

RawVector raw_vector(const IndexRef& set, std::span<const float> vector);

}  // namespace engram
