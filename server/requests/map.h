// SPDX-License-Identifier: Apache-2.0
// A map of an index: items at random places of it, laid out in the plane of the two directions
// along which they vary most.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/requests/arguments.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

inline constexpr CountArgument kMapSample = {"sample", 1, 10'000};

struct MapRequest {
  IndexRef index;
  std::size_t sample = 1000;  ///< kMapSample
};

struct MapPoint {
  std::string_view key;
  std::string_view attributes;  ///< a JSON object; empty: it has none
  float x = 0;
  float y = 0;
};

/// A vector v of the client, of unit length under cosine, lies at (axes v - origin).
struct MapAnswer {
  std::span<const MapPoint> points;
  std::span<const float> axes;  ///< [2][dim]; the second is zeros where there is but one
  std::array<double, 2> origin;
  std::array<double, 2> shares;  ///< of the variance that each axis has, about
};

/// Errors: kInvalidArgument for a sample out of bounds; kResourceExhausted.
void start(Store& store, MapRequest request, const Responder<MapAnswer>& responder);

}  // namespace engram
