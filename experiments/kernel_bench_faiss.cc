// SPDX-License-Identifier: Apache-2.0
#include <faiss/utils/distances.h>

#include "experiments/kernel_bench_peers.h"

namespace engram::bench {

/// Its functions for many rows (fvec_L2sqr_ny) call these for each, and want them without padding.
std::unique_ptr<Kernel> make_faiss_kernel(Metric metric, std::size_t dim) {
  const auto score = [metric, dim](const void* query, const void* row) {
    const auto* const q = static_cast<const float*>(query);
    const auto* const x = static_cast<const float*>(row);
    return metric == Metric::kL2 ? faiss::fvec_L2sqr(q, x, dim)
                                 : -faiss::fvec_inner_product(q, x, dim);
  };
  return std::make_unique<PairwiseKernel<decltype(score)>>("faiss", metric, dim, score);
}

}  // namespace engram::bench
