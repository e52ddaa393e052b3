// SPDX-License-Identifier: Apache-2.0
// SipHash-1-3 [Aumasson & Bernstein 2012], a keyed hash of what clients send: who does not know the
// key cannot choose texts that collide, and tables of them stay fast. A seeded XXH3 is faster, but
// promises nothing of texts that were chosen.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/hash.h"

namespace engram {

/// The four words of the state.
struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v2 += v3;
    v1 = std::rotl(v1, 13) ^ v0;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 = std::rotl(v0, 32);
    v2 += v1;
    v0 += v3;
    v1 = std::rotl(v1, 17) ^ v2;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 = std::rotl(v2, 32);
  }
};

/// `first` and `second`: the key. One round for each word of `text`, three at the end. The bytes of
/// a word are the machine's, so the hash is good within a process.
inline std::uint64_t sip_hash(std::uint64_t first, std::uint64_t second,
                              std::string_view text) noexcept {
  SipState state{first ^ 0x736f6d6570736575U, second ^ 0x646f72616e646f6dU,
                 first ^ 0x6c7967656e657261U, second ^ 0x7465646279746573U};
  const auto absorb = [&state](std::uint64_t word) {
    state.v3 ^= word;
    state.round();
    state.v0 ^= word;
  };
  const char* bytes = text.data();
  std::size_t left = text.size();
  for (; left >= sizeof(std::uint64_t); left -= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    absorb(word);
    bytes += sizeof word;
  }
  std::uint64_t last = std::uint64_t{text.size()} << 56;
  for (std::size_t i = 0; i < left; ++i) {
    last |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 3; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

/// The same with a key made of `seed`.
inline std::uint64_t sip_hash(std::uint64_t seed, std::string_view text) noexcept {
  return sip_hash(seed, mix(seed), text);
}

}  // namespace engram
