// SPDX-License-Identifier: Apache-2.0
// A quantised graph [Gou2025]: the layered graph of hnsw, whose nodes carry the codes of
// their neighbours.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "primitives/qg/code_walk.h"
#include "primitives/qg/neighbor_codes.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::qg {

/// Searches that ask for nothing but the nearest walk by codes, all others, and inserts, by
/// vectors, as hnsw does. Not concurrent: a list and its codes change together.
class Qg final : public hnsw::Hnsw {
 public:
  static Result<std::unique_ptr<Qg>> create(const IndexContext& context, const hnsw::Config& config,
                                            std::size_t bits);

  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override;
  Status search_as_stranger(Slot own, Query query, const SearchParams& params, Scratch& scratch,
                            std::vector<Hit>& hits) const override;
  std::size_t memory_bytes() const noexcept override;
  std::vector<Fact> describe() const override;

  /// The codes, for tests.
  const NeighborCodes& codes() const noexcept { return *codes_; }

 private:
  Qg(const IndexContext& context, const hnsw::Config& config, std::size_t bits,
     std::unique_ptr<NeighborCodes> codes)
      : Hnsw(context, config, codes.get()), bits_(bits), codes_(std::move(codes)) {}

  template <class Order>
  bool walk(Query query, std::size_t k, std::size_t ef, Order order, Scratch& scratch,
            std::vector<Hit>& hits) const;

  const std::size_t bits_;
  const std::unique_ptr<NeighborCodes> codes_;
};

}  // namespace engram::qg
