// SPDX-License-Identifier: Apache-2.0
// What the float32 kernels share: the form of queries, and the names of internal factories.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/kernel.h"

namespace engram::kernels {

/// A kernel over rows of float32, whose queries have the form of rows.
class F32Kernel : public Kernel {
 public:
  F32Kernel(std::string_view name, Metric metric, std::size_t dim) noexcept;

  std::string_view name() const noexcept final { return name_; }
  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const final;
  Query from_row(const std::byte* row, AlignedBuffer& /*storage*/) const final { return {row}; }

 protected:
  std::size_t dim() const noexcept { return dim_; }
  /// Bytes from one row to the next.
  std::size_t stride() const noexcept { return stride_; }
  Metric metric() const noexcept { return metric_; }

  /// Scores again, in double, those rows of an l2 kernel whose float32 sums are below kLeastSquare.
  void rescore_gathered(Query query, std::span<const std::byte* const> rows,
                        std::span<float> out) const noexcept;
  void rescore_scanned(Query query, const std::byte* rows, std::span<float> out) const noexcept;

 private:
  float small_score(Query query, const std::byte* row) const noexcept;

  const std::string_view name_;
  const std::size_t dim_;
  const std::size_t stride_;
  const Metric metric_;
};

using Factory = std::unique_ptr<Kernel> (*)(std::string_view name, Metric metric, std::size_t dim);

/// ||q - x||^2 of rows of `dim` components.
double squared_distance_of(const float* query, const float* row, std::size_t dim) noexcept;

/// A kernel that this machine can run.
struct Candidate {
  std::string_view name;
  Factory make;
};

/// The oracle: plain loops over doubles, compiled for the baseline instruction set.
std::unique_ptr<Kernel> make_scalar_kernel(std::string_view name, Metric metric, std::size_t dim);

/// One candidate for each instruction set that was compiled in and that this machine has, best
/// first; never empty.
std::vector<Candidate> simd_candidates();

/// The instruction sets compiled in, whether or not this machine has them, best first.
std::vector<std::string_view> compiled_targets();

}  // namespace engram::kernels
