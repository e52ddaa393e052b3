// SPDX-License-Identifier: Apache-2.0
// Compiled for the machine it is built on, because hnswlib chooses at compile time.
#include <hnswlib/hnswlib.h>

#include "experiments/kernel_bench_peers.h"

namespace engram::bench {
namespace {

template <class Space>
std::unique_ptr<Kernel> make(Metric metric, std::size_t dim) {
  const auto space = std::make_shared<Space>(dim);
  const auto score = [space, distance = space->get_dist_func(),
                      parameter = space->get_dist_func_param()](const void* q, const void* x) {
    return distance(q, x, parameter);
  };
  return std::make_unique<PairwiseKernel<decltype(score)>>("hnswlib", metric, dim, score);
}

}  // namespace

std::unique_ptr<Kernel> make_hnswlib_kernel(Metric metric, std::size_t dim) {
  return metric == Metric::kL2 ? make<hnswlib::L2Space>(metric, dim)
                               : make<hnswlib::InnerProductSpace>(metric, dim);
}

}  // namespace engram::bench
