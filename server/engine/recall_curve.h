// SPDX-License-Identifier: Apache-2.0
// What an approximate index finds of the true nearest, by how many candidates a search keeps (ef),
// and the other way round: the ef that a wanted recall takes. Kept as numbers of its Tuning.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/recall.h"

namespace engram {

class RecallCurve {
 public:
  /// What recall is measured at; a search for another k goes by those beside it.
  static constexpr std::array<std::size_t, 3> kNeighbors = {1, 10, 100};

  /// Measured on `sample` of `items` items.
  RecallCurve(std::size_t items, std::size_t sample) : items_(items), sample_(sample) {}

  /// Searches that kept `ef` candidates found this share of the kNeighbors[which] nearest. In
  /// ascending order of ef.
  void add(std::size_t which, std::size_t ef, double recall);

  /// The ef with which searches for k may be expected to find that share of the nearest, in (0, 1);
  /// nothing if no ef that was tried was enough. At least 1. A fraction is the share of searches
  /// that are to keep one candidate more.
  [[nodiscard]] std::optional<double> ef_for(std::size_t k, double recall) const;

  [[nodiscard]] std::size_t items() const noexcept { return items_; }
  [[nodiscard]] std::size_t sample() const noexcept { return sample_; }

  /// As numbers, and back; nothing if there is no curve among them. Other numbers are passed over.
  [[nodiscard]] Tuning numbers() const;
  static std::optional<RecallCurve> from(const Tuning& tuning);
  /// Whether a number of that name is one of numbers().
  static bool is_number(std::string_view name) noexcept;

 private:
  struct Point {
    std::size_t ef;
    double recall;
  };
  using Points = std::vector<Point>;

  [[nodiscard]] std::optional<double> log_ef(std::size_t which, double recall) const;

  std::size_t items_;
  std::size_t sample_;
  std::array<Points, kNeighbors.size()> points_;
};

}  // namespace engram
