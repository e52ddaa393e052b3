// SPDX-License-Identifier: Apache-2.0
// How the strengths of the items of an index fade; core/trace.h says what is kept of each. Under
// static and exp an item that was given the gains g_j at the times t_j has the strength
//
//   s(t) = sum_j g_j 2^(-(t - t_j) / H)
//
// (H infinite under static). All strengths fade by one factor, so their order does not change with
// time. What is kept is L = ln sum_j g_j 2^(t_j / H), the logarithm of the strength as of time 0
// ("forward decay", Cormode et al. 2009): a gain only adds to it, in any order of the times, and
// the handicap of an item, omega * (max L - L), needs no clock. Items with a half-life of their
// own, and the policies power and ebb, fade each in its own way, and the handicap is one as of a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace engram {

enum class DecayPolicy : std::uint8_t { kNone, kStatic, kExp, kPower, kEbb };
/// What gives a write its time: the wall, or only the client.
enum class DecayClock : std::uint8_t { kWall, kLogical };

/// What a recall does to what it recalls: nothing; the winner, the attractor, gains; every item
/// gains in proportion to its share of the state; the winner gains, and what competed with it loses
/// (retrieval-induced forgetting, Anderson, Bjork & Bjork 1994).
enum class Reinforce : std::uint8_t { kOff, kWinner, kSoft, kCompete };

/// What an index does by itself, every so often: items that lie within `merge_radius` of a stronger
/// one become one with it; what is weaker than `floor` goes, and then the weakest beyond a budget,
/// of items or of bytes (vectors as they were given, and keys). 0: no such bound.
struct Upkeep {
  std::optional<double> merge_radius = {};
  double floor = 0;
  std::size_t budget = 0;
  std::size_t budget_bytes = 0;
  std::int64_t every_ms = 1000;

  [[nodiscard]] bool is_on() const noexcept {
    return merge_radius || floor > 0 || budget > 0 || budget_bytes > 0;
  }
  friend bool operator==(const Upkeep&, const Upkeep&) = default;
};

/// The most milliseconds that a time or a half-life has: 2^53 - 1, which a double holds exactly.
inline constexpr std::int64_t kMaxDecayMs = 9'007'199'254'740'991;

/// Of one index, for its whole life.
struct Decay {
  DecayPolicy policy = DecayPolicy::kNone;
  std::int64_t half_life_ms = 0;  ///< of exp: 1..kMaxDecayMs
  double exponent = 0;            ///< of power: 1e-3..10
  std::int64_t stability_ms = 0;  ///< of ebb: 1..kMaxDecayMs
  double omega = 1;               ///< what a nat of strength is worth in nats of the logit
  DecayClock clock = DecayClock::kWall;
  Reinforce reinforce = Reinforce::kOff;
  Upkeep upkeep = {};

  [[nodiscard]] bool is_on() const noexcept { return policy != DecayPolicy::kNone; }
  /// Whether times mean something.
  [[nodiscard]] bool has_time() const noexcept { return policy > DecayPolicy::kStatic; }
  /// Whether an item fades as all do, unless it has a rule of its own.
  [[nodiscard]] bool fades_alike() const noexcept {
    return policy == DecayPolicy::kStatic || policy == DecayPolicy::kExp;
  }

  /// Where it fades alike, L of an item that was given `gain`, positive and finite, at `ms` and
  /// nothing else; else ln gain.
  [[nodiscard]] double log_gain(double gain, std::int64_t ms) const noexcept;

  friend bool operator==(const Decay&, const Decay&) = default;
};

/// ln(e^a + e^b).
double add_logs(double a, double b) noexcept;

/// As VNEW takes it and as it is stored: "static omega 1", "exp 86400000 omega 1 clock wall".
/// What power and ebb have behind them is the exponent and the stability in milliseconds.
std::string decay_text(const Decay& decay);

/// Its opposite. Errors: kInvalidArgument, in a sentence.
Result<Decay> decay_from_text(std::string_view text);

/// "none", "static", "exp", "power" or "ebb".
std::string_view decay_name(DecayPolicy policy) noexcept;
/// "wall" or "logical".
std::string_view clock_name(DecayClock clock) noexcept;
/// "off", "winner", "soft" or "compete".
std::string_view reinforce_name(Reinforce rule) noexcept;

// The parts, as a command has them; names in any letter case. Errors: kInvalidArgument, saying what
// was expected.

Result<DecayPolicy> read_decay_policy(std::string_view name);
/// what: who wants it.
Result<std::int64_t> read_half_life(std::string_view what, std::string_view text);
Result<double> read_exponent(std::string_view text);
Result<double> read_omega(std::string_view text);
Result<DecayClock> read_clock(std::string_view name);
Result<Reinforce> read_reinforce(std::string_view name);
Result<double> read_floor(std::string_view text);
/// 0 or more.
Result<double> read_merge_radius(std::string_view text);
/// what: FLOOR's neighbours: BUDGET, BUDGETBYTES or EVERY.
Result<std::int64_t> read_upkeep_number(std::string_view what, std::string_view text);

}  // namespace engram
