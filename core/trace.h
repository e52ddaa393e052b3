// SPDX-License-Identifier: Apache-2.0
// What is kept of an item's strength, under each policy of core/decay.h. An item was given the
// gains g_j at the times t_j; what is kept of them answers ln s(t) for any t:
//
//   static  s = sum_j g_j
//   exp     s = sum_j g_j 2^(-(t - t_j) / H), H that of the index or the item's own
//   power   s = sum_j g_j a_j^-D, a_j the age in seconds, at least 1 (the base level of ACT-R,
//           Anderson & Lebiere 1998)
//   ebb     s = e^(-a / S), a the age of the latest use, S the sum of the gains times that of the
//           index (MemoryBank, Zhong et al. 2024)
//
// Gains may come in any order of their times. No strength rises as time goes by. A pinned item
// stays as strong as it was when it was pinned, but for its gains: its strength is no function of
// time.
//
// Under power the latest uses are kept, those of one time as one. The rest counts as if it were
// spread evenly from the first use to the latest that is kept (Petrov 2006).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/decay.h"
#include "core/result.h"

namespace engram {

/// What a trace holds, and how it fades.
enum class TraceKind : std::uint8_t {
  kLevel,         ///< static, exp: as Decay says; nothing is the item's own
  kPinned,        ///< of all but ebb: never
  kOwnHalfLife,   ///< exp
  kUses,          ///< power
  kStability,     ///< ebb
  kPinnedForGood  ///< ebb, pinned: its strength is 1
};
inline constexpr std::size_t kTraceKinds = 6;

struct Trace {
  struct Use {
    std::int64_t ms = 0;
    double gain = 0;
    friend bool operator==(const Use&, const Use&) = default;
  };
  static constexpr std::size_t kRecent = 8;

  TraceKind kind = TraceKind::kLevel;
  /// kLevel: L of Decay. kPinned: ln s. kOwnHalfLife: ln s(ms). kUses: the gains that are not among
  /// `recent`. kStability, kPinnedForGood: S in milliseconds.
  double amount = 0;
  /// kOwnHalfLife: any time. kUses: of the first use. kStability, kPinnedForGood: of the latest.
  std::int64_t ms = 0;
  std::int64_t half_life_ms = 0;         ///< of kOwnHalfLife
  std::uint32_t recent_count = 0;        ///< of kUses: 1..kRecent
  std::array<Use, kRecent> recent = {};  ///< the latest first; [recent_count, kRecent) are zeros

  [[nodiscard]] bool is_pinned() const noexcept {
    return kind == TraceKind::kPinned || kind == TraceKind::kPinnedForGood;
  }
  friend bool operator==(const Trace&, const Trace&) = default;
};

/// How an item is to fade, if not as its index does. At most one of these.
struct FadeRule {
  std::optional<std::int64_t> half_life_ms = {};  ///< under exp: 1..kMaxDecayMs
  bool pins = false;

  [[nodiscard]] bool says_nothing() const noexcept { return !half_life_ms && !pins; }
};

/// Of an item that was given `gain`, positive and finite, at `ms` and nothing else.
Trace new_trace(const Decay& decay, double gain, std::int64_t ms, const FadeRule& rule = {});

/// Another gain.
void add_gain(const Decay& decay, double gain, std::int64_t ms, Trace& trace);

/// Multiplies s(t), at every t, by `factor`, which is above 0 and at most 1. False if nothing
/// changes: a pinned item stays as strong, and so does one whose strength is its age alone (ebb).
bool weaken(double factor, Trace& trace) noexcept;

/// Has the item fade by `rule`, if that says something, from `ms` on. Its strength at `ms` stays;
/// but an item that is pinned under ebb gets the strength 1.
void change_rule(const Decay& decay, const FadeRule& rule, std::int64_t ms, Trace& trace);

/// ln s(ms).
double log_strength(const Decay& decay, const Trace& trace, std::int64_t ms) noexcept;

/// Never less than that, and quickly told.
double log_strength_ceiling(const Decay& decay, const Trace& trace, std::int64_t ms) noexcept;

/// Makes `trace` one that is at no time after `ms` weaker than it was, nor than `other`. False if
/// there is no such trace, and then it is left alone.
bool join(const Decay& decay, const Trace& other, std::int64_t ms, Trace& trace) noexcept;

/// Whether that is a trace that there can be, under `decay`: for what comes from files. Errors:
/// kDataLoss.
Status check_trace(const Decay& decay, const Trace& trace);

}  // namespace engram
