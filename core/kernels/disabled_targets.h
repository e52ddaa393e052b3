// SPDX-License-Identifier: Apache-2.0
// To be included before hwy/foreach_target.h, by every source that is compiled once per target.
//
// SVE vectors have no size at compile time, so they cannot lie in arrays; NEON serves those
// machines.
#pragma once

#ifndef ENGRAM_DISABLED_TARGETS  // the build's option `simd`
#define ENGRAM_DISABLED_TARGETS 0
#endif
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | ENGRAM_DISABLED_TARGETS)
