// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/groups/grouping.h"
#include "core/groups/leader.h"
#include "core/groups/near_search.h"
#include "core/groups/sketches.h"
#include "core/row_algebra.h"

namespace engram {

/// GroupMethod::kKMeans: rounds of means and assignments, until none changes or kMostRounds. Every
/// item is compared with every centre in each.
class KMeansGrouping final : public Grouping {
 public:
  /// As of LeaderGrouping; `items` are those of `space`.
  KMeansGrouping(Sketches& space, const GroupedItems& items, const GroupingParams& params,
                 std::unique_ptr<RowAlgebra> algebra);

  bool step() override;
  [[nodiscard]] std::size_t progress() const noexcept override;
  [[nodiscard]] std::size_t progress_end() const noexcept override;
  std::vector<std::uint32_t> take_groups() override;

 private:
  static constexpr std::size_t kBlock = 64;
  static constexpr std::size_t kPiece = 256;
  static constexpr std::size_t kMostRounds = 10;

  enum class Phase : std::uint8_t {
    kSketching,
    kLeading,
    kDrawing,
    kPlacing,
    kMoving,
    kAssigning,
    kEnded
  };

  [[nodiscard]] std::size_t size() const noexcept { return space_.rows().size(); }
  [[nodiscard]] const std::byte* centre(std::size_t number) const noexcept;
  void draw();
  void place_some();
  void begin_round();
  void move_some();
  void assign_some();
  void settle_some(StepBudget& budget);
  void end_round();

  Sketches& space_;
  const GroupedItems& items_;
  const GroupingParams params_;
  const std::unique_ptr<RowAlgebra> algebra_;
  std::optional<LeaderGrouping> leader_;
  Phase phase_ = Phase::kSketching;
  std::size_t rounds_ = 0;  // that are over
  std::vector<std::uint32_t> labels_;
  std::vector<std::vector<std::uint32_t>> drawn_;    // the first members_, where they were drawn
  std::vector<std::vector<std::uint32_t>> members_;  // of the centres, as the round begins
  std::vector<Sketch> sketches_;                     // of the centres
  AlignedBuffer centres_;                            // their rows
  std::vector<double> sum_;
  std::size_t moved_ = 0;         // centres, in this round
  std::size_t next_ = 0;          // the first item of the block
  std::size_t passed_ = 0;        // centres that the block has been compared with
  std::size_t settled_ = 0;       // items of the block that are with the nearest
  std::size_t changes_ = 0;       // items that joined another centre, in this round
  std::vector<Nearest> nearest_;  // by item of the block
  std::vector<float> limits_;     // by item of the block
  std::vector<std::vector<Candidate>> candidates_;  // by item of the block
  AlignedBuffer places_;
};

}  // namespace engram
