// SPDX-License-Identifier: Apache-2.0
// What the kernels are compared with, in the shape of kernels.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/kernel.h"
#include "core/row.h"

namespace engram::bench {

/// Scores pairs one after the other with a function of (query, row), as most code does.
template <class PairScore>
class PairwiseKernel final : public Kernel {
 public:
  PairwiseKernel(std::string name, Metric metric, std::size_t dim, PairScore score)
      : name_(std::move(name)), metric_(metric), stride_(row_bytes(dim)), score_(score) {}

  std::string_view name() const noexcept override { return name_; }

  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const override {
    std::byte* const row = storage.reserve(stride_);
    encode_row(metric_, vector, row);
    return {row};
  }

  Query from_row(const std::byte* row, AlignedBuffer& /*storage*/) const override { return {row}; }

  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < rows.size(); ++i) out[i] = score_(query.data, rows[i]);
  }

  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = score_(query.data, rows + i * stride_);
  }

 private:
  const std::string name_;
  const Metric metric_;
  const std::size_t stride_;
  const PairScore score_;
};

/// hnswlib's best distance function for this machine (Malkov & Yashunin's implementation).
std::unique_ptr<Kernel> make_hnswlib_kernel(Metric metric, std::size_t dim);

/// faiss's distance functions as the library was compiled. Where ENGRAM_BENCH_FAISS is defined.
std::unique_ptr<Kernel> make_faiss_kernel(Metric metric, std::size_t dim);

}  // namespace engram::bench
