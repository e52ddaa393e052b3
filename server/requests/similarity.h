// SPDX-License-Identifier: Apache-2.0
// Nearness as vector sets say it: the greater, the nearer.
#pragma once

#include "core/metric.h"

namespace engram {

/// metric  | similarity            | within epsilon
/// --------|-----------------------|-------------------------
/// cosine  | (1 + cos) / 2         | similarity >= 1 - epsilon
/// l2      | 1 / (1 + distance)    | distance <= epsilon
/// dot     | the inner product     | distance <= epsilon
float similarity(Metric metric, float distance) noexcept;

bool is_within(Metric metric, float distance, double epsilon) noexcept;

}  // namespace engram
