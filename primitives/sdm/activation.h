// SPDX-License-Identifier: Apache-2.0
// How many of all addresses a Hamming ball holds, and how many two balls have in common. Shares are
// exact sums of binomial coefficients, kept as logarithms.
#pragma once

#include <cstddef>
#include <vector>

namespace engram::sdm {

/// ln of the share of all addresses of `dim` signs that lie within `radius` of one:
/// sum_{k <= radius} C(dim, k) / 2^dim. O(dim).
double log_activation(std::size_t dim, std::size_t radius);

/// The smallest radius within which at least 1 / sqrt(locations) of all addresses lie: each address
/// then activates about sqrt(locations) of them. Kanerva's own example, 1000 signs and a million
/// locations, gets his radius of 451. locations: at least 1. O(dim).
std::size_t choose_radius(std::size_t dim, std::size_t locations);

/// ln of the share of all addresses that are active for both a state and an item, by the number of
/// the state's known signs that the item does not share: [known + 1]. An address is active for the
/// item within `radius`, and for the state if the mismatches of known signs plus half of the
/// unknown ones are at most `radius`. Without unknown signs this is the intersection of two balls
/// at that distance, by which items are weighed in a reading [Bricken2021].
/// O(known) without unknown signs, else O(known * unknown). Shares below e^-700 of
/// the state's may be -infinity.
std::vector<double> log_joint_activation(std::size_t known, std::size_t unknown,
                                         std::size_t radius);

}  // namespace engram::sdm
