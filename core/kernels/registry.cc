// SPDX-License-Identifier: Apache-2.0
#include "core/assert.h"
#include "core/kernel.h"
#include "core/kernels/f32_kernel.h"
#include "core/row.h"
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

}  // namespace
}  // namespace kernels

Result<std::unique_ptr<Kernel>> make_kernel(std::string_view name, Metric metric, std::size_t dim) {
  if (equal_ignoring_case(name, "auto")) {
    const kernels::Candidate best = kernels::simd_candidates().front();
    return best.make(best.name, metric, dim);
  }
  for (const kernels::Candidate& candidate : kernels::candidates()) {
    if (equal_ignoring_case(name, candidate.name)) {
      return candidate.make(candidate.name, metric, dim);
    }
  }
  std::string known;
  for (const std::string& each : kernel_names()) known += (known.empty() ? "" : ", ") + each;
  return fail(ErrorCode::kInvalidArgument, "unknown kernel '" + std::string(name.substr(0, 64)) +
                                               "', this machine has " + known);
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names = {"auto"};
  for (const kernels::Candidate& candidate : kernels::candidates()) {
    names.emplace_back(candidate.name);
  }
  return names;
}

}  // namespace engram
