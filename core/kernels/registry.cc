// SPDX-License-Identifier: Apache-2.0
#include "core/assert.h"
#include "core/kernel.h"
#include "core/kernels/code_kernel.h"
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

CodeLoops code_loops(std::string_view name) {
  CodeLoops loops = scalar_code_loops();
  for (const CodeLoops& each : simd_code_loops()) {
    if (each.name == name) loops = each;
  }
  return loops;
}

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
                                               std::size_t dim, Element element) {
  const auto candidate = kernels::find_candidate(name);
  if (!candidate) return tl::unexpected(candidate.error());
  return make_code_estimator(kernels::code_loops(candidate->name), metric, dim, element);
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names = {"auto"};
  for (const kernels::Candidate& candidate : kernels::candidates()) {
    names.emplace_back(candidate.name);
  }
  return names;
}

}  // namespace engram
