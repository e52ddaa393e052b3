// SPDX-License-Identifier: Apache-2.0
// What of a BlockScan depends on the instruction set.
#pragma once

#include <string_view>
#include <vector>

#include "core/block_scan.h"

namespace engram::kernels {

/// An instruction set's scan.
struct BlockLoops {
  std::string_view name;
  BlockScan scan;
};

/// The oracle: a plain loop, compiled for the baseline instruction set.
BlockLoops scalar_block_loops() noexcept;

/// One for each instruction set that was compiled in and that this machine has, best first, with
/// the names of simd_candidates().
std::vector<BlockLoops> simd_block_loops();

}  // namespace engram::kernels
