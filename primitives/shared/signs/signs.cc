// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/signs/signs.h"

#include <algorithm>
#include <bit>

#include "primitives/shared/rows/rows.h"

namespace engram::recall {
namespace {

void set_range(std::vector<SignWord>& words, const CoordinateRange& range) {
  for (std::size_t i = range.begin; i < range.end; ++i) {
    words[i / kSignBits] |= SignWord{1} << (i % kSignBits);
  }
}

}  // namespace

void pack_signs(const float* values, std::size_t dim, SignWord* words) {
  for (std::size_t begin = 0; begin < dim; begin += kSignBits) {
    const std::size_t count = std::min(kSignBits, dim - begin);
    SignWord word = 0;
    for (std::size_t i = 0; i < count; ++i) {
      word |= static_cast<SignWord>(is_positive(values[begin + i])) << i;
    }
    words[begin / kSignBits] = word;
  }
}

SignState::SignState(const Cue& cue, std::size_t dim)
    : dim_(dim), known_count_(0), signs_(sign_words(dim)), known_(signs_.size()) {
  pack_signs(cue.vector.data(), dim, signs_.data());
  std::vector<SignWord> all(signs_.size());
  set_range(all, {0, dim});
  if (cue.visible == nullptr) {
    known_ = all;
    free_ = all;
  } else {
    for (const CoordinateRange& range : *cue.visible) set_range(known_, range);
    free_ = all;
    for (std::size_t i = 0; i < all.size(); ++i) free_[i] &= ~known_[i];
  }
  for (const SignWord word : known_) {
    known_count_ += static_cast<std::size_t>(std::popcount(word));
  }
}

void SignState::set(std::size_t i, bool is_positive) noexcept {
  const SignWord mask = SignWord{1} << (i % kSignBits);
  SignWord& signs = signs_[i / kSignBits];
  signs = is_positive ? signs | mask : signs & ~mask;
  known_count_ += bit(known_, i) ? 0 : 1;
  known_[i / kSignBits] |= mask;
}

std::size_t SignState::mismatches(const SignWord* pattern) const noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < signs_.size(); ++i) {
    count += static_cast<std::size_t>(std::popcount((signs_[i] ^ pattern[i]) & known_[i]));
  }
  return count;
}

std::vector<float> SignState::values() const {
  std::vector<float> values(dim_);
  for (std::size_t i = 0; i < dim_; ++i) values[i] = static_cast<float>(sign(i));
  return values;
}

void SignItems::read(const VectorStore& store, const SlotSet& items) {
  stride_ = sign_words(store.dim());
  items.list(slots_);
  words_.resize(slots_.size() * stride_);
  for_each_piece(store, slots_, decoded_,
                 [&](std::span<const std::byte* const> rows, std::size_t first) {
                   for (std::size_t i = 0; i < rows.size(); ++i) {
                     pack_signs(reinterpret_cast<const float*>(rows[i]), store.dim(),
                                &words_[(first + i) * stride_]);
                   }
                 });
}

}  // namespace engram::recall
