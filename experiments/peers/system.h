// SPDX-License-Identifier: Apache-2.0
// What compare_graphs asks of each library: build a graph over all rows, answer one query at a
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/metric.h"

namespace engram::peers {

/// The same for every system of a comparison. Under cosine all rows and queries have length one.
struct Setting {
  Metric metric = Metric::kL2;
  std::size_t dim = 0;
  std::size_t m = 16;
  std::size_t ef_construction = 200;
};

/// A graph index of some library. Not thread-safe; build() uses threads of its own.
class System {
 public:
  virtual ~System() = default;

  /// Called once. rows: [n][dim], which stay where they are. Takes `threads` threads.
  virtual void build(std::span<const float> rows, std::size_t threads) = 0;

  /// Writes the rows of the nearest k to `rows`. query: [dim]; k: rows.size(), at most ef.
  virtual void search(std::span<const float> query, std::size_t ef,
                      std::span<std::uint32_t> rows) = 0;
};

/// The primitive `hnsw` with these options, as VNEW takes them.
std::unique_ptr<System> make_engram(const Setting& setting, std::string_view quant,
                                    std::string_view rerank);
/// The primitive `qg`, of degree 2M. Whatever the threads, one builds it.
std::unique_ptr<System> make_engram_qg(const Setting& setting, std::string_view bits);
std::unique_ptr<System> make_hnswlib(const Setting& setting);
std::unique_ptr<System> make_faiss(const Setting& setting);

}  // namespace engram::peers
