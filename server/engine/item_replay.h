// SPDX-License-Identifier: Apache-2.0
// Replay: which items a memory is reminded of when it is left to itself, drawn at random, so that
// another memory can learn from it (McClelland, McNaughton & O'Reilly 1995).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include "core/options.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/scratch.h"
#include "core/slot.h"
#include "core/slot_set.h"
#include "server/engine/read_view.h"

namespace engram {

enum class ReplayBy : std::uint8_t {
  kStrength,  ///< an item, in proportion to its strength
  /// From such an item a walk in the energy E: q <- q - eta grad E + sqrt(2 eta T) noise, with eta
  /// 0.1. A step is accepted as a sample of exp(-E / T) has to be (Roberts & Tweedie 1996). What is
  /// met is the item with the greatest weight where it ends.
  kLangevin,
};
/// "strength", "langevin".
inline constexpr std::string_view kReplayByNames[] = {"strength", "langevin"};

struct ReplayParams {
  std::size_t draws = 0;  ///< 0: there is no replay
  ReplayBy by = ReplayBy::kStrength;
  std::size_t walk = 20;                   ///< steps of kLangevin for each draw
  std::optional<double> temperature = {};  ///< T of kLangevin; nothing: 1 / beta of recalls
  std::uint64_t seed = 42;
};

/// The draws, in steps that each take some milliseconds. What is met depends on items, their order
/// and the parameters, and on strengths and beta during walks, where somebody changes them; not on
/// time or on how steps are cut. Threads: one at a time.
class ItemReplay {
 public:
  /// All outlive it. slots: of the items, whose rows stay, the strongest first; log_strengths:
  /// theirs. `all`: the same as a set.
  struct Items {
    std::vector<Slot> slots;
    std::vector<double> log_strengths;
    const SlotSet& all;
  };

  /// Errors: kUnsupported for kLangevin where recalls have no energy and no beta.
  static Result<ItemReplay> create(const ReplayParams& params, const ReadView& view, Items items,
                                   std::int64_t at_ms);

  /// Draws some. False: there are no more to draw. Errors: those of Recaller::recall().
  Result<bool> step(Scratch& scratch);

  /// How many were drawn, of ReplayParams::draws.
  [[nodiscard]] std::size_t drawn() const noexcept { return drawn_; }

  /// What it draws from, and how often each was met.
  [[nodiscard]] const std::vector<Slot>& slots() const noexcept { return items_.slots; }
  [[nodiscard]] const std::vector<std::size_t>& met() const noexcept { return met_; }

 private:
  ItemReplay(const ReplayParams& params, const ReadView& view, Items items, std::int64_t at_ms);

  /// Where a walk is.
  struct Place {
    std::vector<float> q;
    std::vector<float> drift;     // what descent makes of q, less q
    double energy = 0;            // of q
    std::optional<Slot> nearest;  // the item with the greatest weight at q
  };

  [[nodiscard]] std::size_t draw_item(std::size_t draw) const;
  Status walk_on(const Bias* bias, Scratch& scratch);
  Status look(const Bias* bias, Scratch& scratch, Place& place) const;
  void propose(const Place& from, std::uint64_t key, Place& to) const;
  [[nodiscard]] double log_odds(const Place& from, const Place& to) const;

  ReplayParams params_;
  const ReadView* view_;
  Items items_;
  std::int64_t at_ms_;
  double temperature_ = 0;
  Options one_step_;          // of a recall
  std::vector<double> sums_;  // of strengths, up to each item
  tsl::robin_map<Slot, std::size_t> item_of_;
  std::vector<std::size_t> met_;
  std::size_t drawn_ = 0;
  Place here_;              // of the walk of this draw
  Place there_;             // where its next step would lead
  std::size_t walked_ = 0;  // steps
};

}  // namespace engram
