// SPDX-License-Identifier: Apache-2.0
// What was measured of the recall of searches, as an estimate with an interval.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace engram {

struct RecallEstimate {
  std::size_t k;
  std::uint64_t searches;  ///< that were measured
  double recall;           ///< the mean share of the true k nearest that they found
  double low;              ///< a 95 % interval
  double high;
};

/// Wilson's interval for a mean of shares that are counted in clusters: the k neighbours of one
/// search are found or missed together, so they count as fewer than k, by how much the searches
/// differ. `sum` and `squares`: of `count` shares (> 0) and of their squares.
RecallEstimate estimate_recall(std::size_t k, std::uint64_t count, double sum, double squares);

/// Counts shares by k: of the latest searches, at least kWindow and at most twice as many if there
/// were so many, for the first kMostKinds k. Takes the same memory whatever comes.
class RecallCounts {
 public:
  static constexpr std::uint64_t kWindow = 4096;
  static constexpr std::size_t kMostKinds = 8;

  /// `found` of the true k nearest. False: there is no room for another k.
  bool add(std::size_t k, std::size_t found);

  /// In ascending order of k.
  [[nodiscard]] std::vector<RecallEstimate> estimates() const;

 private:
  struct Sums {
    std::uint64_t count = 0;
    double sum = 0;
    double squares = 0;
  };
  struct Kind {
    std::size_t k = 0;  // 0: free
    Sums former = {};
    Sums latest = {};
  };

  std::array<Kind, kMostKinds> kinds_;
};

}  // namespace engram
