// SPDX-License-Identifier: Apache-2.0
// The SIMD kernels: this file is compiled once per instruction set by foreach_target.h, and the
// table at its end leads to each of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/kernels/disabled_targets.h"
#include "core/kernels/f32_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "core/kernels/simd-inl.h"

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::kernels {
namespace {

HWY_EXPORT(make_simd_kernel);

}  // namespace

std::vector<Candidate> simd_candidates() {
  std::vector<Candidate> candidates;
  for_each_target(runnable_targets(), [&](std::int64_t target) {
    const Factory make = function_for(target, HWY_DISPATCH_TABLE(make_simd_kernel));
    candidates.push_back({target_name(target), make});
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
