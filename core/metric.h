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
/// kL2    | Euclidean, ||q - x||         | ||q - x||^2; a negative number below 2^-42
/// kCosine| 1 - cos(q, x), in [0, 2]     | -q.x, both normalised when they are stored
/// kDot   | -q.x                         | -q.x
///
/// A zero vector has no direction: under cosine its distance to everything, itself included, is 1.
///
/// float32 loses the squares of small distances, and 0 would stand for thousands of them. A kernel
/// takes a sum below kLeastSquare again, in double, and scores the distance by l2_score().
enum class Metric : std::uint8_t { kL2, kCosine, kDot };

inline constexpr Metric kMetrics[] = {Metric::kL2, Metric::kCosine, Metric::kDot};

/// The name that commands use: "l2", "cosine", "dot".
std::string_view metric_name(Metric metric) noexcept;

/// The metric of that name in any letter case, or nothing.
std::optional<Metric> metric_from_name(std::string_view name) noexcept;

/// The least square that is its own score. What underflow takes from a sum of 2^16 squares is less
/// than 2^-24 of it, even where denormals are zeros.
inline constexpr float kLeastSquare = 0x1p-84F;

/// The score of a squared distance that is known in double. From kLeastSquare on it is that square.
/// Below, the distance itself decides, as a float32: scores ascend with it from -2^-42, that of 0,
/// and one distance has one score. NaN stays NaN.
float l2_score(double square) noexcept;

/// The squared distance of an l2 score: in the range of double, and to float32's precision.
/// Rounding may have made a score of codes negative: that is 0, or next to it.
double squared_distance(float score) noexcept;

/// Converts a kernel's score into the distance that clients see. Never negative for l2 and cosine.
float score_to_distance(Metric metric, float score) noexcept;

}  // namespace engram
