// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/recall.h"
#include "core/scratch.h"
#include "primitives/shared/signs/signs.h"

namespace engram::sdm {

/// The hard locations of a sparse distributed memory [Kanerva1988]: random addresses of `dim`
/// signs, each with a counter for every sign. An item is its own address: it adds its signs to the
/// counters of every location within `radius` of it. Counters are [locations, dim], row by row. A
/// trace of primitives/shared/superposed/superposed_memory.h.
class HardLocations {
 public:
  using Number = std::int32_t;

  /// radius: at most dim. Addresses depend on dim and seed alone, on any machine.
  HardLocations(std::size_t dim, std::size_t locations, std::size_t radius, std::uint64_t seed);

  std::size_t count() const { return locations_ * dim_; }
  void prepare(const float* row, Scratch& scratch) const;
  void apply(bool takes_away, std::span<std::uint32_t> sum, Scratch& scratch) const;
  std::size_t memory_bytes() const { return addresses_.size() * sizeof(recall::SignWord); }
  /// What the options do not say already.
  std::vector<Fact> describe() const;

  std::size_t locations() const noexcept { return locations_; }
  std::size_t radius() const noexcept { return radius_; }

  /// Whether a state activates a location: the distance that is to be expected between them, where
  /// half of the signs that are not known differ, is at most the radius.
  bool is_active(std::size_t location, const recall::SignState& state) const noexcept {
    const std::size_t mismatches = state.mismatches(&addresses_[location * stride_]);
    return 2 * mismatches + (dim_ - state.known_count()) <= 2 * radius_;
  }

 private:
  std::size_t dim_;
  std::size_t locations_;
  std::size_t radius_;
  std::size_t stride_;
  std::vector<recall::SignWord> addresses_;  // [locations, stride]; bits behind dim are any
};

}  // namespace engram::sdm
