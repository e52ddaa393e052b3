// SPDX-License-Identifier: Apache-2.0
// The instruction sets that Highway compiled a function for. To be included by the sources that
// include hwy/foreach_target.h, after it, where HWY_ONCE.
#pragma once

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace engram::kernels {

/// Highway calls its fallback "SCALAR" or "EMU128", depending on the compiler. Ours is one name,
/// which is not that of the oracle either.
inline std::string_view target_name(std::int64_t target) {
  const bool is_fallback = target == HWY_SCALAR || target == HWY_EMU128;
  return is_fallback ? "portable" : hwy::TargetName(target);
}

/// The function of one instruction set out of Highway's table (HWY_DISPATCH_TABLE), which is a
/// single entry if only one was compiled.
template <class Table>
auto function_for(const Table& table, std::int64_t target) {
  if (std::size(table) == 1) return table[0];
  hwy::ChosenTarget chosen;
  chosen.Update(target);
  return table[chosen.GetIndex()];
}

/// Calls visit(target) for each of `targets`, best first: lower bits are better.
template <class Visit>
void for_each_target(std::int64_t targets, Visit&& visit) {
  for (; targets != 0; targets &= targets - 1) visit(targets & -targets);
}

/// Those compiled in that this machine has.
inline std::int64_t runnable_targets() {
  return HWY_TARGETS & (HWY_SUPPORTED_TARGETS | HWY_STATIC_TARGET);
}

}  // namespace engram::kernels
