// SPDX-License-Identifier: Apache-2.0
// What stands between the kernel's score and the ranking. Items may be weaker than others (they
// were seen less often, or long ago), and rank as if they were farther away. Strength has its place
// in the logit: beta * similarity - handicap, so one column serves searches and recalls alike.
#pragma once

#include <span>

#include "core/metric.h"
#include "core/slot.h"

namespace engram {

/// How far the logits of items lie below that of an item of full strength, whatever makes them so.
/// Evaluated in batches: a scan crosses the virtual call once for many rows. Any thread.
class Bias {
 public:
  virtual ~Bias() = default;

  /// nats[i] = the handicap of slots[i]: at least 0, not NaN. Both [n], any n. Every slot is or was
  /// held. Values may change meanwhile; each is what it was at some moment of the call.
  virtual void handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept = 0;

  /// Whether a handicap is hardly more than a load from memory, so that it pays to know those of
  /// items that may not be scored at all.
  [[nodiscard]] virtual bool is_at_hand() const noexcept { return true; }
};

/// A bias in units of scores: the effective score of an item is its kernel's score, and what its
/// handicap / beta is in units of similarity (q.x, or minus half the squared distance under l2).
/// Never less than the kernel's score, which is therefore a bound of it. An effective score is a
/// float32 as scores are: what differs by less than that shows is a tie. Borrows the bias.
class ScoreBias {
 public:
  /// beta: greater than 0.
  ScoreBias(const Bias& bias, Metric metric, double beta) noexcept
      : bias_(&bias), metric_(metric), nat_((metric == Metric::kL2 ? 2 : 1) / beta) {}

  /// Makes scores[i], the kernel's of slots[i], the effective one. Both [n], any n.
  void apply(std::span<const Slot> slots, std::span<float> scores) const noexcept;

  /// As Bias's.
  [[nodiscard]] bool is_at_hand() const noexcept { return bias_->is_at_hand(); }

  /// The distance that clients see of an effective score: that of the metric, where nothing was
  /// added; under cosine it may be more than 2.
  [[nodiscard]] float distance(float score) const noexcept;

 private:
  const Bias* bias_;
  Metric metric_;
  double nat_;  // what a nat adds to a score
};

}  // namespace engram
