// SPDX-License-Identifier: Apache-2.0
// The oracle of the loops over codes.
#include "core/kernels/code_kernel.h"

namespace engram::kernels {
namespace {

void dots(const CodeShape& shape, const std::int8_t* plane, std::span<const std::byte* const> rows,
          std::int32_t* out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < shape.dim; ++j) {
      sum += code_at(shape, rows[i], j) * plane_at(shape, plane, j);
    }
    out[i] = sum;
  }
}

template <Metric kMetric>
float decoded_score(const CodeShape& shape, const float* query, const std::byte* row,
                    CodeHeader header) {
  double sum = 0;
  for (std::size_t j = 0; j < shape.dim; ++j) {
    const double value = header.offset + double{header.scale} * code_at(shape, row, j);
    if constexpr (kMetric == Metric::kL2) {
      sum += (query[j] - value) * (query[j] - value);
    } else {
      sum -= query[j] * value;
    }
  }
  return static_cast<float>(sum);
}

}  // namespace

CodeLoops scalar_code_loops() noexcept {
  return {"scalar", dots, dots, dots, decoded_score<Metric::kL2>, decoded_score<Metric::kDot>};
}

}  // namespace engram::kernels
