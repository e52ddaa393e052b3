// SPDX-License-Identifier: Apache-2.0
// What codes cost: how many of a node's nearest they let one see.
#include <algorithm>

#include "core/exact_scan.h"
#include "core/hash.h"
#include "primitives/shared/hnsw/hnsw.h"

namespace engram::hnsw {
namespace {

constexpr std::uint64_t kSample = 32;
constexpr std::size_t kNearest = 10;

/// The `kNearest` of `slots` by `query`, in any order.
std::vector<Slot> nearest_of(const Bound& query, std::span<const Slot> slots) {
  std::vector<float> scores(slots.size());
  query.gather(slots, scores);
  std::vector<Hit> hits;
  TopK nearest(kNearest, hits);
  for (std::size_t i = 0; i < slots.size(); ++i) nearest.offer({comparable(scores[i]), slots[i]});
  std::vector<Slot> found;
  found.reserve(hits.size());
  for (const Hit& hit : hits) found.push_back(hit.slot);
  return found;
}

}  // namespace

/// The held nodes that two links lead to at most, without `slot` itself.
std::vector<Slot> Hnsw::neighborhood(Slot slot) const {
  std::vector<Slot> met;
  const auto meet = [&](Slot other) { met.push_back(other); };
  graph_.links(slot, 0).for_each(meet);
  const std::vector<Slot> nearer = met;
  for (const Slot each : nearer) graph_.links(each, 0).for_each(meet);
  std::sort(met.begin(), met.end());
  met.erase(std::unique(met.begin(), met.end()), met.end());
  std::erase_if(met, [&](Slot other) { return other == slot || !held_.contains(other); });
  return met;
}

/// The mean share of a node's ten nearest, in its neighbourhood, that are among the ten nearest by
/// codes; of a sample of nodes, the same ones each time. Nothing if no node has as many neighbours.
std::optional<double> Hnsw::code_recall() const {
  AlignedBuffer vector_storage;
  AlignedBuffer code_storage;
  const RowView vectors{context_.kernel, context_.store.rows()};
  std::size_t nodes = 0;
  std::size_t seen = 0;
  for (std::uint64_t i = 0; i < kSample && graph_.node_end() > 0; ++i) {
    const auto slot = static_cast<Slot>(mix(i) % graph_.node_end());
    if (!held_.contains(slot)) continue;
    const std::vector<Slot> slots = neighborhood(slot);
    if (slots.size() < kNearest) continue;
    const std::span vector(reinterpret_cast<const float*>(context_.store.row(slot)),
                           context_.store.dim());
    const auto truth = nearest_of(vectors.to_slot(slot, vector_storage), slots);
    const auto found = nearest_of(walk_rows().to(estimator_->prepare(vector, code_storage)), slots);
    ++nodes;
    for (const Slot each : truth) {
      if (std::find(found.begin(), found.end(), each) != found.end()) ++seen;
    }
  }
  if (nodes == 0) return std::nullopt;
  return static_cast<double>(seen) / static_cast<double>(nodes * kNearest);
}

}  // namespace engram::hnsw
