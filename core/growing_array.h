// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/result.h"
#include "core/row_blocks.h"
#include "core/sections.h"

namespace engram {

/// An array of T, zero-initialised, whose elements never move as it grows.
///
/// Threads: ensure() may be called by several threads at once. An element may be used by any thread
/// that has learnt, through a synchronising operation, that an ensure() covering it has returned.
template <class T>
class GrowingArray {
  static_assert(sizeof(T) <= 16);
  static_assert(std::is_trivially_destructible_v<T>, "memory is given back without destructors");

 public:
  /// Makes elements [0, count) usable; new ones are all zero bytes. Errors: kResourceExhausted.
  Status ensure(std::size_t count) { return rows_.ensure(count); }

  /// Fills an array of which nothing was used yet with the `count` elements of section `name`; see
  /// RowBlocks::load. Elements from `count` to ready() are zero unless the file is damaged.
  /// Errors: kDataLoss unless the section has exactly `count` elements; kResourceExhausted.
  Status adopt(SectionReader& reader, std::string_view name, std::size_t count) {
    return rows_.load(reader, name, count);
  }

  T& operator[](std::size_t i) noexcept { return *at(i); }
  const T& operator[](std::size_t i) const noexcept { return *at(i); }

  /// How many elements are usable.
  std::size_t ready() const noexcept { return rows_.ready(); }
  std::size_t ready_bytes() const noexcept { return ready() * sizeof(T); }

 private:
  T* at(std::size_t i) const noexcept { return reinterpret_cast<T*>(rows_.locate(i, sizeof(T))); }

  RowBlocks rows_{sizeof(T), kFewBytes};
};

}  // namespace engram
