// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/runtime/process.h"
#include "server/runtime/sip_hash.h"

namespace engram {

/// For maps of what clients send that live in one process, which has one key for them all.
struct KeyHash {
  std::size_t operator()(std::string_view text) const noexcept {
    static const std::uint64_t seed = random_seed();
    return sip_hash(seed, text);
  }
};

}  // namespace engram
