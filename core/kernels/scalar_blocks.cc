// SPDX-License-Identifier: Apache-2.0
// The oracle of scans of blocks.
#include "core/kernels/block_loops.h"

namespace engram::kernels {
namespace {

void scan(std::size_t groups, const std::byte* block, const std::uint8_t* table,
          std::int32_t* sums) {
  for (std::size_t i = 0; i < kBlockCodes; ++i) {
    sums[i] = 0;
    for (std::size_t g = 0; g < groups; ++g) {
      sums[i] += table[g * kGroupEntries + group_at(block, i, g)];
    }
  }
}

}  // namespace

BlockLoops scalar_block_loops() noexcept {
  return {"scalar", scan};
}

}  // namespace engram::kernels
