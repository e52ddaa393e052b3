// SPDX-License-Identifier: Apache-2.0
// What a network learns from its items beyond Hebb's rule. With M = 1/d sum_i x_i x_i^T:
//
//   hebb            J = M                                  [Hopfield1982]
//   pseudoinverse   J = the projector onto the items       [Personnaz1985, Kanter1987]
//   dream           J = (1 + t) M (I + t M)^-1             [Fachechi2019]
//   unlearn         J = M, then for each of so many random states, each at rest after some updates:
//                   J <- J - rate/d s s^T                  [Hopfield1983]
//
// all without a diagonal. dream is the paper's X^T (1 + t) (I + t C)^-1 X / d with the overlaps
// C = X X^T / d of the items, written in d dimensions instead of as many as there are items; t = 0
// is hebb, and great t are the pseudoinverse. Each is a function of M, which is a sum over the
// items: their order does not matter, and what is erased is gone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/options.h"
#include "core/reserved_memory.h"
#include "core/result.h"

namespace engram::hebb {

enum class Rule : std::uint8_t { kHebb, kPseudoinverse, kDream, kUnlearn };
inline constexpr std::string_view kRuleNames[] = {"hebb", "pseudoinverse", "dream", "unlearn"};

/// More would keep a worker for seconds.
inline constexpr std::size_t kMaxLearnedDimension = 1024;

inline constexpr std::array kRuleOptions = {
    choice_option("RULE", "hebb", kRuleNames, "what the couplings are made of"),
    real_option("SLEEP", 10, 0, 1e4, "of dream: how long, t; 0 is hebb"),
    integer_option("ROUNDS", 100, 0, 1000, "of unlearn: how many states are unlearned"),
    real_option("RATE", 0.01, 1e-6, 1, "of unlearn: how much of each"),
    integer_option("SEED", 42, 0, 9007199254740991.0, "of unlearn: draws the states"),
};

struct Learning {
  Rule rule = Rule::kHebb;
  double sleep = 10;
  std::size_t rounds = 100;
  double rate = 0.01;
  std::uint64_t seed = 42;
};

/// options: of a schema that has kRuleOptions. Errors: kInvalidArgument for options of another
/// rule.
Result<Learning> read_learning(const Options& options);

/// J [dim, dim], symmetric doubles, from d M [dim, dim], for any rule but hebb, whose couplings are
/// d M itself. O(dim^3). Errors: kResourceExhausted.
Result<FixedMemory> learn(const Learning& learning, std::span<const std::int32_t> sum,
                          std::size_t dim);

/// Smaller fields are rounding: where items determine nothing, J is zero but for that.
inline constexpr double kLeastField = 1e-9;

}  // namespace engram::hebb
