// SPDX-License-Identifier: Apache-2.0
// The SIMD loops of RowAlgebra, compiled and found as the kernels of simd.cc are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "core/kernels/algebra_loops.h"
#include "core/kernels/disabled_targets.h"
#include "core/row.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd_algebra.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "core/kernels/algebra-inl.h"

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::kernels {
namespace {

HWY_EXPORT(make_algebra_loops);

}  // namespace

std::vector<AlgebraLoops> simd_algebra_loops() {
  return runnable_loops(HWY_DISPATCH_TABLE(make_algebra_loops));
}

}  // namespace engram::kernels
#endif  // HWY_ONCE
