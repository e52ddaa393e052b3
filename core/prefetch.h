// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace engram {

/// Asks for the cache line of `address` to be fetched, into the first-level cache.
///
/// g++ 12 takes a function of nothing but __builtin_prefetch for one without effects and drops its
/// calls; the empty assembly, which costs no instruction, is an effect.
inline void prefetch(const void* address) noexcept {
  __builtin_prefetch(address);
  __asm__ volatile("" : : "r"(address));
}

}  // namespace engram
