// SPDX-License-Identifier: Apache-2.0
// What the tests of kernels and of row algebra share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "core/row.h"

namespace engram::test {

/// Every kernel of this machine but the oracle.
inline std::vector<std::string> tested_kernels() {
  std::vector<std::string> names = kernel_names();
  std::erase_if(names, [](const std::string& name) { return name == "auto" || name == "scalar"; });
  return names;
}

/// Components independent and normal.
inline std::vector<float> random_vector(std::size_t dim, std::mt19937_64& rng) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dim);
  for (float& value : vector) value = normal(rng);
  return vector;
}

/// Encoded rows in exactly as much memory as they need, so that a sanitizer sees every byte read
/// before or after them.
class RowArray {
 public:
  RowArray(std::size_t dim, std::size_t count, std::size_t misalignment = 0)
      : stride_(row_bytes(dim)),
        size_(count * stride_),
        bytes_(static_cast<std::byte*>(::operator new(size_ + misalignment, kAlignment))),
        first_(bytes_ + misalignment) {}
  ~RowArray() { ::operator delete(bytes_, kAlignment); }
  RowArray(const RowArray&) = delete;
  RowArray& operator=(const RowArray&) = delete;

  std::byte* row(std::size_t i) const { return first_ + i * stride_; }
  /// Of equally many rows of the same dimension.
  void copy_from(const RowArray& other) { std::memcpy(first_, other.first_, size_); }

 private:
  static constexpr std::align_val_t kAlignment{kRowAlignment};

  std::size_t stride_;
  std::size_t size_;
  std::byte* bytes_;
  std::byte* first_;
};

/// a and b: ranges of floats, or of doubles.
template <class A, class B>
bool same_bits(const A& a, const B& b) {
  return std::ranges::equal(std::as_bytes(std::span(a)), std::as_bytes(std::span(b)));
}

}  // namespace engram::test
