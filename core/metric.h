// SPDX-License-Identifier: Apache-2.0
// What "near" means. Searches rank by a score, the cheapest number that orders rows as the distance
// does; only the k answers of a reply are converted into distances.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace engram {

/// metric | distance (smaller is closer) | score
/// -------|------------------------------|------------------------------------------
/// kL2    | Euclidean, ||q - x||         | ||q - x||^2
/// kCosine| 1 - cos(q, x), in [0, 2]     | -q.x, both normalised when they are stored
/// kDot   | -q.x                         | -q.x
///
/// A zero vector has no direction: under cosine its distance to everything, itself included, is 1.
enum class Metric : std::uint8_t { kL2, kCosine, kDot };

inline constexpr Metric kMetrics[] = {Metric::kL2, Metric::kCosine, Metric::kDot};

/// The name that commands use: "l2", "cosine", "dot".
std::string_view metric_name(Metric metric) noexcept;

/// The metric of that name in any letter case, or nothing.
std::optional<Metric> metric_from_name(std::string_view name) noexcept;

/// Converts a kernel's score into the distance that clients see. Never negative for l2 and cosine.
float score_to_distance(Metric metric, float score) noexcept;

}  // namespace engram
