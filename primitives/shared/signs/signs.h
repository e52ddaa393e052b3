// SPDX-License-Identifier: Apache-2.0
// Binary memories: patterns of +1 and -1, which are the signs of vectors' components.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/recall.h"
#include "core/slot_set.h"
#include "core/vector_store.h"

namespace engram::recall {

using SignWord = std::uint64_t;
inline constexpr std::size_t kSignBits = 64;

/// Words of a pattern of `dim` signs.
constexpr std::size_t sign_words(std::size_t dim) noexcept {
  return (dim + kSignBits - 1) / kSignBits;
}

/// The sign of a component: as whole numbers floats have the same signs, and NaN is no exception.
inline bool is_positive(float value) noexcept {
  return std::bit_cast<std::int32_t>(value) > 0;
}

/// words[sign_words(dim)] = a bit for each of values[dim], lowest first: 1, for +1, where it is
/// positive, else 0, for -1. Bits behind dim are 0.
void pack_signs(const float* values, std::size_t dim, SignWord* words);

/// A pattern of which some signs may not be known, which count as 0. Sets of coordinates are bits
/// like those of signs.
class SignState {
 public:
  /// What is visible of `cue` is known and stays; what is hidden is free. If nothing is hidden, all
  /// is free.
  SignState(const Cue& cue, std::size_t dim);

  std::size_t dim() const noexcept { return dim_; }
  const std::vector<SignWord>& signs() const noexcept { return signs_; }
  const std::vector<SignWord>& known() const noexcept { return known_; }
  std::size_t known_count() const noexcept { return known_count_; }

  bool is_free(std::size_t i) const noexcept { return bit(free_, i); }
  /// 1, -1, or 0 if it is not known.
  int sign(std::size_t i) const noexcept { return !bit(known_, i) ? 0 : bit(signs_, i) ? 1 : -1; }
  void set(std::size_t i, bool is_positive) noexcept;

  /// What sign i becomes in a field: that of the field. In a field of exactly zero a known sign
  /// stays, and one that is not known becomes -1, as a component of zero counts.
  template <class Field>
  int sign_in(std::size_t i, Field field) const noexcept {
    if (field == 0 && sign(i) != 0) return sign(i);
    return field > 0 ? 1 : -1;
  }

  /// How many of the known signs differ from those of `pattern`.
  std::size_t mismatches(const SignWord* pattern) const noexcept;

  /// The signs as numbers, [dim].
  std::vector<float> values() const;

 private:
  static bool bit(const std::vector<SignWord>& words, std::size_t i) noexcept {
    return (words[i / kSignBits] >> (i % kSignBits) & 1) != 0;
  }

  std::size_t dim_;
  std::size_t known_count_;
  std::vector<SignWord> signs_;
  std::vector<SignWord> known_;
  std::vector<SignWord> free_;
};

/// The signs of items, read from their rows.
class SignItems {
 public:
  void read(const VectorStore& store, const SlotSet& items);

  const std::vector<Slot>& slots() const noexcept { return slots_; }
  std::size_t count() const noexcept { return slots_.size(); }
  /// [sign_words(dim)]
  const SignWord* pattern(std::size_t i) const noexcept { return &words_[i * stride_]; }

 private:
  std::size_t stride_ = 0;
  std::vector<Slot> slots_;  // ascending
  std::vector<SignWord> words_;
  AlignedBuffer decoded_;
};

}  // namespace engram::recall
