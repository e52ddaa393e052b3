// SPDX-License-Identifier: Apache-2.0
// What compare_exact asks of each library: the true nearest of every query of a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/metric.h"

namespace engram::peers {

/// Exact search of some library. Not thread-safe; works in the thread that calls it.
class ExactSystem {
 public:
  virtual ~ExactSystem() = default;

  /// Called once. rows: [n][dim], which stay where they are; of length one under cosine.
  virtual void add(std::span<const float> rows) = 0;

  /// Writes the k nearest rows of each query, nearest first. queries: [count][dim], of length one
  /// under cosine; rows: [count][k].
  virtual void search(std::span<const float> queries, std::size_t k,
                      std::span<std::uint32_t> rows) = 0;
};

std::unique_ptr<ExactSystem> make_exact_engram(Metric metric, std::size_t dim);
std::unique_ptr<ExactSystem> make_exact_faiss(Metric metric, std::size_t dim);

}  // namespace engram::peers
