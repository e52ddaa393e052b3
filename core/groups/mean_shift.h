// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/groups/grouping.h"
#include "core/groups/near_search.h"
#include "core/groups/sketches.h"
#include "core/row_algebra.h"

namespace engram {

/// GroupMethod::kMeanShift. A state is compared with every item, in each of its steps; where it
/// goes depends on what is near alone, so a way that another state has been is not gone again.
class MeanShiftGrouping final : public Grouping {
 public:
  /// As of LeaderGrouping; `items` are those of `space`.
  MeanShiftGrouping(Sketches& space, const GroupedItems& items, double radius,
                    std::unique_ptr<RowAlgebra> algebra);

  bool step() override;
  [[nodiscard]] std::size_t progress() const noexcept override { return space_.done() + next_; }
  [[nodiscard]] std::size_t progress_end() const noexcept override { return 2 * size(); }
  std::vector<std::uint32_t> take_groups() override;

 private:
  static constexpr std::size_t kMostSteps = 100;

  /// Stands for a set of items: two sums of their hashes.
  struct Support {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    friend bool operator==(const Support&, const Support&) = default;
  };
  struct SupportHash {
    std::size_t operator()(const Support& support) const noexcept { return support.a; }
  };

  [[nodiscard]] std::size_t size() const noexcept { return space_.rows().size(); }
  void begin_item();
  void look_anew();
  void look(StepBudget& budget);
  void follow();
  void rest(std::uint32_t group);

  Sketches& space_;
  const GroupedItems& items_;
  const double square_;  // of the radius
  const std::unique_ptr<RowAlgebra> algebra_;
  std::vector<std::uint32_t> labels_;
  std::uint32_t groups_ = 0;
  std::unordered_map<Support, std::uint32_t, SupportHash> known_;  // to the group it leads to
  std::size_t next_ = 0;                                           // the item on its way
  std::vector<Support> way_;                                       // of the item
  AlignedBuffer state_row_;
  Sketch state_{};
  std::size_t looked_ = 0;  // items that the state has been compared with
  std::vector<Candidate> candidates_;
  std::size_t measured_ = 0;  // of the candidates
  std::vector<std::uint32_t> near_;
  std::vector<double> sum_;
  AlignedBuffer places_;
};

}  // namespace engram
