// SPDX-License-Identifier: Apache-2.0
#include "server/requests/similarity.h"

namespace engram {

float similarity(Metric metric, float distance) noexcept {
  switch (metric) {
    case Metric::kCosine:
      return 1 - distance / 2;
    case Metric::kL2:
      return 1 / (1 + distance);
    case Metric::kDot:
      return -distance;
  }
  return 0;
}

bool is_within(Metric metric, float distance, double epsilon) noexcept {
  const double wide = metric == Metric::kCosine ? double{distance} / 2 : double{distance};
  return wide <= epsilon;
}

}  // namespace engram
