// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "core/assert.h"
#include "core/block_scan.h"
#include "core/kernel.h"
#include "core/kernels/algebra_loops.h"
#include "core/kernels/block_loops.h"
#include "core/kernels/code_kernel.h"
#include "core/kernels/f32_kernel.h"
#include "core/row.h"
#include "core/row_algebra.h"
#include "core/text.h"

namespace engram {
namespace kernels {

F32Kernel::F32Kernel(std::string_view name, Metric metric, std::size_t dim) noexcept
    : name_(name), dim_(dim), stride_(row_bytes(dim)), metric_(metric) {}

Query F32Kernel::prepare(std::span<const float> vector, AlignedBuffer& storage) const {
  ENGRAM_ASSERT(vector.size() == dim_);
  std::byte* const row = storage.reserve(stride_);
  encode_row(metric_, vector, row);
  return {row};
}

namespace {

/// All that this machine can run; "auto" and the best instruction set are the same kernel.
std::vector<Candidate> candidates() {
  const std::vector<Candidate> simd = simd_candidates();
  std::vector<Candidate> all = {{"scalar", make_scalar_kernel}};
  all.insert(all.end(), simd.begin(), simd.end());
  return all;
}

/// Those of `simd` with the name of a candidate, else `scalar`.
template <class Loops>
Loops loops_called(std::string_view name, Loops scalar, const std::vector<Loops>& simd) {
  for (const Loops& each : simd) {
    if (each.name == name) return each;
  }
  return scalar;
}

CodeLoops code_loops(std::string_view name) {
  return loops_called(name, scalar_code_loops(), simd_code_loops());
}

/// An instruction set's loops over rows of one dimension.
class LoopAlgebra final : public RowAlgebra {
 public:
  LoopAlgebra(const AlgebraLoops& loops, std::size_t dim) noexcept
      : loops_(loops), floats_(row_bytes(dim) / sizeof(float)) {}

  std::string_view name() const noexcept override { return loops_.name; }

  void weighted_squares(const float* query, const float* weights,
                        std::span<const std::byte* const> rows,
                        std::span<double> out) const noexcept override {
    ENGRAM_DASSERT(out.size() == rows.size());
    std::array<float, 512> sums;
    while (!rows.empty()) {
      const std::size_t count = std::min(sums.size(), rows.size());
      const bool has_small =
          loops_.weighted_squares(floats_, query, weights, rows.first(count), sums.data());
      std::copy_n(sums.begin(), count, out.begin());
      for (std::size_t i = 0; has_small && i < count; ++i) {
        if (sums[i] < kLeastSquare) out[i] = weighted_square(floats_, query, weights, rows[i]);
      }
      rows = rows.subspan(count);
      out = out.subspan(count);
    }
  }

  void add_rows(std::span<const double> factors, std::span<const std::byte* const> rows,
                std::span<double> sum) const noexcept override {
    ENGRAM_DASSERT(factors.size() == rows.size() && sum.size() == floats_);
    loops_.add_rows(floats_, factors.data(), rows, sum.data());
  }

 private:
  const AlgebraLoops loops_;
  const std::size_t floats_;
};

Result<Candidate> find_candidate(std::string_view name) {
  if (equal_ignoring_case(name, "auto")) return simd_candidates().front();
  for (const Candidate& candidate : candidates()) {
    if (equal_ignoring_case(name, candidate.name)) return candidate;
  }
  std::string known;
  for (const std::string& each : kernel_names()) known += (known.empty() ? "" : ", ") + each;
  return fail(ErrorCode::kInvalidArgument, "unknown kernel '" + std::string(name.substr(0, 64)) +
                                               "', this machine has " + known);
}

}  // namespace
}  // namespace kernels

Result<std::unique_ptr<Kernel>> make_kernel(std::string_view name, Metric metric, std::size_t dim,
                                            Element element) {
  const auto candidate = kernels::find_candidate(name);
  if (!candidate) return tl::unexpected(candidate.error());
  if (element == Element::kF32) return candidate->make(candidate->name, metric, dim);
  return make_code_kernel(kernels::code_loops(candidate->name), metric, dim, element);
}

Result<std::unique_ptr<Kernel>> make_estimator(std::string_view name, Metric metric,
                                               std::size_t dim, Element element,
                                               std::span<const float> axis) {
  const auto candidate = kernels::find_candidate(name);
  if (!candidate) return tl::unexpected(candidate.error());
  return make_code_estimator(kernels::code_loops(candidate->name), metric, dim, element, axis);
}

Result<std::unique_ptr<RowAlgebra>> make_row_algebra(std::string_view name, std::size_t dim) {
  const auto candidate = kernels::find_candidate(name);
  if (!candidate) return tl::unexpected(candidate.error());
  const kernels::AlgebraLoops loops = kernels::loops_called(
      candidate->name, kernels::scalar_algebra_loops(), kernels::simd_algebra_loops());
  return std::make_unique<kernels::LoopAlgebra>(loops, dim);
}

Result<BlockScan> find_block_scan(std::string_view name) {
  const auto candidate = kernels::find_candidate(name);
  if (!candidate) return tl::unexpected(candidate.error());
  return kernels::loops_called(candidate->name, kernels::scalar_block_loops(),
                               kernels::simd_block_loops())
      .scan;
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names = {"auto"};
  for (const kernels::Candidate& candidate : kernels::candidates()) {
    names.emplace_back(candidate.name);
  }
  return names;
}

}  // namespace engram
