// SPDX-License-Identifier: Apache-2.0
// The SIMD scans of blocks, compiled and found as the kernels of simd.cc are.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/kernels/block_loops.h"
#include "core/kernels/disabled_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd_blocks.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "core/kernels/blocks-inl.h"

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::kernels {
namespace {

HWY_EXPORT(make_block_loops);

}  // namespace

std::vector<BlockLoops> simd_block_loops() {
  return runnable_loops(HWY_DISPATCH_TABLE(make_block_loops));
}

}  // namespace engram::kernels
#endif  // HWY_ONCE
