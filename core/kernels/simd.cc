// SPDX-License-Identifier: Apache-2.0
// The SIMD kernels: this file is compiled once per instruction set by foreach_target.h, and the
// table at its end leads to each of them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/kernels/f32_kernel.h"

// SVE vectors have no size at compile time, so they cannot lie in arrays; NEON serves those
// machines.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "core/kernels/simd-inl.h"

#if HWY_ONCE
namespace engram::kernels {
namespace {

HWY_EXPORT(make_simd_kernel);

/// Highway calls its fallback "SCALAR" or "EMU128", depending on the compiler. Ours is one name,
/// which is not that of the oracle either.
std::string_view target_name(std::int64_t target) {
  const bool is_fallback = target == HWY_SCALAR || target == HWY_EMU128;
  return is_fallback ? "portable" : hwy::TargetName(target);
}

/// The kernel of one instruction set out of Highway's table, which is a single entry if only one
/// was compiled.
Factory factory_for(std::int64_t target) {
  constexpr auto& kTable = HWY_DISPATCH_TABLE(make_simd_kernel);
  if (std::size(kTable) == 1) return kTable[0];
  hwy::ChosenTarget chosen;
  chosen.Update(target);
  return kTable[chosen.GetIndex()];
}

/// Lower bits are better targets.
template <class Visit>
void for_each_target(std::int64_t targets, Visit&& visit) {
  for (; targets != 0; targets &= targets - 1) visit(targets & -targets);
}

}  // namespace

std::vector<Candidate> simd_candidates() {
  std::vector<Candidate> candidates;
  const std::int64_t runnable = HWY_TARGETS & (HWY_SUPPORTED_TARGETS | HWY_STATIC_TARGET);
  for_each_target(runnable, [&](std::int64_t target) {
    candidates.push_back({target_name(target), factory_for(target)});
  });
  return candidates;
}

std::vector<std::string_view> compiled_targets() {
  std::vector<std::string_view> names;
  for_each_target(HWY_TARGETS, [&](std::int64_t target) { names.push_back(target_name(target)); });
  return names;
}

}  // namespace engram::kernels
#endif  // HWY_ONCE
