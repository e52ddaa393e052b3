// SPDX-License-Identifier: Apache-2.0
// The SIMD loops over codes, compiled and found as the kernels of simd.cc are.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "core/kernels/code_kernel.h"
#include "core/kernels/disabled_targets.h"
#include "core/prefetch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd_codes.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "core/kernels/codes-inl.h"

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::kernels {
namespace {

HWY_EXPORT(make_code_loops);

}  // namespace

std::vector<CodeLoops> simd_code_loops() {
  return runnable_loops(HWY_DISPATCH_TABLE(make_code_loops));
}

}  // namespace engram::kernels
#endif  // HWY_ONCE
