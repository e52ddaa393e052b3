// SPDX-License-Identifier: Apache-2.0
// Walks over the instruction sets that a file was compiled for by foreach_target.h. To be included
// after highway.h, inside HWY_ONCE.
#pragma once

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>
#include <vector>

namespace engram::kernels {

/// The instruction sets compiled in that this machine has. The processor is asked once: under a
/// hypervisor an answer takes tens of microseconds, and each index makes kernels.
inline std::int64_t runnable_targets() {
  static const std::int64_t targets = HWY_TARGETS & (HWY_SUPPORTED_TARGETS | HWY_STATIC_TARGET);
  return targets;
}

/// Highway calls its fallback "SCALAR" or "EMU128", depending on the compiler. Ours is one name,
/// which is not that of the oracle either.
inline std::string_view target_name(std::int64_t target) {
  const bool is_fallback = target == HWY_SCALAR || target == HWY_EMU128;
  return is_fallback ? "portable" : hwy::TargetName(target);
}

/// The function of one instruction set out of Highway's table, which is a single entry if only one
/// was compiled.
template <class Function, std::size_t kSize>
Function function_for(std::int64_t target, const Function (&table)[kSize]) {
  if constexpr (kSize == 1) {
    return table[0];
  } else {
    hwy::ChosenTarget chosen;
    chosen.Update(target);
    return table[chosen.GetIndex()];
  }
}

/// Calls visit(target) for each of `targets`, best first: lower bits are better targets.
template <class Visit>
void for_each_target(std::int64_t targets, Visit&& visit) {
  for (; targets != 0; targets &= targets - 1) visit(targets & -targets);
}

/// What each function of Highway's table makes of its target's name, for the instruction sets that
/// this machine can run, best first.
template <class Loops, std::size_t kSize>
std::vector<Loops> runnable_loops(Loops (*const (&table)[kSize])(std::string_view)) {
  std::vector<Loops> loops;
  for_each_target(runnable_targets(), [&](std::int64_t target) {
    loops.push_back(function_for(target, table)(target_name(target)));
  });
  return loops;
}

}  // namespace engram::kernels
