// SPDX-License-Identifier: Apache-2.0
// What one core of this machine can do at most, measured: the yardstick for the kernels.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/metric.h"

namespace engram::bench {

/// The rates of one instruction set, in vectors per cycle: 1 load of 64 bytes and 2 of 32 are the
/// same bandwidth. A manual's figures for comparison (Zen 4): 1 load, 1 multiply-add and 1 subtract
/// of 64 bytes, 2 of each of 32 or 16 bytes.
struct VectorRates {
  std::string kernel;        ///< whose vectors these are: a name that make_kernel takes
  std::size_t vector_bytes;  ///< of a register
  double loads;              ///< from the L1 cache
  double l2_terms;           ///< subtract, square and add, in registers
  double dot_terms;          ///< multiply and add, in registers

  /// The fewest cycles for one vector of a row: it has to be loaded, and its terms to be computed.
  /// Loads of the query, sums of lanes and prefetches are overhead that the bound does not grant.
  double cycles_per_vector(Metric metric) const noexcept;
};

/// Cycles per second, from a chain of additions that take one each. What the system tells is not
/// what a core in turbo mode does.
double measure_clock();

/// The rates of every instruction set of this machine, best first. The best of many short runs
/// each, so that what else runs on the machine does not lower them. `clock`: cycles per second.
/// `memory`: 24 KiB on a page boundary, as rows are read from.
std::vector<VectorRates> measure_vector_rates(double clock, const std::byte* memory);

/// The better of two measurements of the same instruction sets, rate by rate: what disturbs one for
/// long may leave the other alone, and a bound that is too low flatters.
std::vector<VectorRates> better_of(std::vector<VectorRates> a, const std::vector<VectorRates>& b);

/// Reads `bytes` (a multiple of 1 KiB) from `memory` once, in the widest vectors of this machine,
/// and returns a value that depends on all of them. `prefetched`: with software prefetch ahead.
float read_all(const std::byte* memory, std::size_t bytes, bool prefetched);

}  // namespace engram::bench
