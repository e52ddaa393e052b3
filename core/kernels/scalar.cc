// SPDX-License-Identifier: Apache-2.0
// The oracle that every other kernel is tested against, and the price of doing without SIMD.
#include <cstring>

#include "core/kernels/f32_kernel.h"

namespace engram::kernels {

double squared_distance_of(const float* query, const float* row, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(query[i]) - static_cast<double>(row[i]);
    sum += difference * difference;
  }
  return sum;
}

/// Most rows this near are the query itself.
float F32Kernel::small_score(Query query, const std::byte* row) const noexcept {
  if (std::memcmp(query.data, row, dim_ * sizeof(float)) == 0) return l2_score(0);
  return l2_score(squared_distance_of(reinterpret_cast<const float*>(query.data),
                                      reinterpret_cast<const float*>(row), dim_));
}

void F32Kernel::rescore_gathered(Query query, std::span<const std::byte* const> rows,
                                 std::span<float> out) const noexcept {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] < kLeastSquare) out[i] = small_score(query, rows[i]);
  }
}

void F32Kernel::rescore_scanned(Query query, const std::byte* rows,
                                std::span<float> out) const noexcept {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] < kLeastSquare) out[i] = small_score(query, rows + i * stride_);
  }
}

namespace {

double negated_dot(const float* query, const float* row, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    sum -= static_cast<double>(query[i]) * static_cast<double>(row[i]);
  }
  return sum;
}

class ScalarKernel final : public F32Kernel {
 public:
  using F32Kernel::F32Kernel;

  void gather(Query query, std::span<const std::byte* const> rows,
              std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < rows.size(); ++i) out[i] = score(query, rows[i]);
  }

  void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = score(query, rows + i * stride());
  }

 private:
  float score(Query query, const std::byte* row) const noexcept {
    const auto* const q = reinterpret_cast<const float*>(query.data);
    const auto* const x = reinterpret_cast<const float*>(row);
    if (metric() == Metric::kL2) return l2_score(squared_distance_of(q, x, dim()));
    return static_cast<float>(negated_dot(q, x, dim()));
  }
};

}  // namespace

std::unique_ptr<Kernel> make_scalar_kernel(std::string_view name, Metric metric, std::size_t dim) {
  return std::make_unique<ScalarKernel>(name, metric, dim);
}

}  // namespace engram::kernels
