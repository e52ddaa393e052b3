// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/groups/grouping.h"
#include "core/groups/near_search.h"
#include "core/groups/sketches.h"

namespace engram {

/// GroupMethod::kLeader. Every item is compared with every seed before it.
class LeaderGrouping final : public Grouping {
 public:
  /// `space` is of the rows that are grouped, and outlives it; it is made complete first.
  LeaderGrouping(Sketches& space, double radius);

  bool step() override;
  [[nodiscard]] std::size_t progress() const noexcept override { return space_.done() + next_; }
  [[nodiscard]] std::size_t progress_end() const noexcept override { return 2 * size(); }
  std::vector<std::uint32_t> take_groups() override { return std::move(labels_); }

 private:
  static constexpr std::size_t kBlock = 64;   // items that pass along the seeds together
  static constexpr std::size_t kPiece = 256;  // seeds: 32 KiB of sketches

  [[nodiscard]] std::size_t size() const noexcept { return space_.rows().size(); }
  void pass_piece(StepBudget& budget);
  void settle_some(StepBudget& budget);

  Sketches& space_;
  const double square_;  // of the radius
  std::vector<std::uint32_t> labels_;
  std::vector<Sketch> seeds_;
  std::vector<std::uint32_t> seed_items_;
  std::size_t next_ = 0;                            // the first item of the block
  std::size_t known_ = 0;                           // seeds when the block began
  std::size_t passed_ = 0;                          // of those, that it has been compared with
  std::optional<Nearest> nearest_;                  // to the first item without a label, so far
  std::vector<std::vector<Candidate>> candidates_;  // by item of the block
  AlignedBuffer places_;
};

}  // namespace engram
