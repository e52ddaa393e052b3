// SPDX-License-Identifier: Apache-2.0
// The oracle that every other kernel is tested against, and the price of doing without SIMD.
#include "core/kernels/f32_kernel.h"

namespace engram::kernels {
namespace {

double squared_distance(const float* query, const float* row, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(query[i]) - static_cast<double>(row[i]);
    sum += difference * difference;
  }
  return sum;
}

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
    const double sum = metric() == Metric::kL2 ? squared_distance(q, x, dim())  //
                                               : negated_dot(q, x, dim());
    return static_cast<float>(sum);
  }
};

}  // namespace

std::unique_ptr<Kernel> make_scalar_kernel(std::string_view name, Metric metric, std::size_t dim) {
  return std::make_unique<ScalarKernel>(name, metric, dim);
}

}  // namespace engram::kernels
