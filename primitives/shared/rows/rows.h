// SPDX-License-Identifier: Apache-2.0
// Rows as float32, whatever the store keeps, and their scores.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "core/bound.h"
#include "core/codes.h"
#include "core/index.h"
#include "core/row.h"
#include "core/slot.h"
#include "core/vector_store.h"

namespace engram::recall {

/// Calls visit(rows, first) for pieces that cover `slots` in order: rows[i] is that of
/// slots[first + i] as float32, zero padded as in row.h; where the store keeps codes, what they
/// stand for. The rows are there until visit returns.
template <class Visit>
void for_each_piece(const VectorStore& store, std::span<const Slot> slots, AlignedBuffer& buffer,
                    Visit&& visit) {
  constexpr std::size_t kMostRows = 512;
  constexpr std::size_t kMostDecoded = 64;  // they are written, and should stay in a cache
  std::array<const std::byte*, kMostRows> rows;
  const bool decodes = store.element() != Element::kF32;
  const std::size_t piece = decodes ? kMostDecoded : kMostRows;
  const std::size_t stride = row_bytes(store.dim());
  std::byte* const decoded = decodes ? buffer.reserve(piece * stride) : nullptr;
  for (std::size_t first = 0; first < slots.size(); first += piece) {
    const std::size_t count = std::min(piece, slots.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* const row = store.row(slots[first + i]);
      rows[i] = decodes ? decoded + i * stride : row;
      if (!decodes) continue;
      auto* const values = reinterpret_cast<float*>(decoded + i * stride);
      std::fill_n(values, stride / sizeof(float), 0.0F);
      decode_codes(store.element(), store.metric(), row, {values, store.dim()});
    }
    visit(std::span<const std::byte* const>(rows.data(), count), first);
  }
}

/// scores[i] = that of slots[i], which are ascending. Runs of slots are scanned.
inline void score_all(const Bound& query, std::span<const Slot> slots, std::span<float> scores) {
  constexpr std::size_t kShortRun = 16;
  std::size_t pending = 0;  // the first that is not scored
  const auto gather_to = [&](std::size_t end) {
    query.gather(slots.subspan(pending, end - pending), scores.subspan(pending, end - pending));
  };
  for (std::size_t begin = 0; begin < slots.size();) {
    std::size_t end = begin + 1;
    while (end < slots.size() && slots[end] == slots[end - 1] + 1) ++end;
    if (end - begin >= kShortRun) {
      gather_to(begin);
      query.scan(slots[begin], slots[end - 1] + 1, [&](Slot first, std::span<const float> run) {
        std::copy(run.begin(), run.end(), &scores[begin + (first - slots[begin])]);
      });
      pending = end;
    }
    begin = end;
  }
  gather_to(slots.size());
}

/// Makes `mask` a row, padded with zeros, that has ones at the visible coordinates of `dim`.
inline void read_mask(std::span<const CoordinateRange> visible, std::size_t dim,
                      std::vector<float>& mask) {
  mask.assign(row_bytes(dim) / sizeof(float), 0.0F);
  for (const auto& [begin, end] : visible) std::fill_n(&mask[begin], end - begin, 1.0F);
}

/// That of a cue, which shows all coordinates if it does not say which.
inline void read_mask(const Cue& cue, std::size_t dim, std::vector<float>& mask) {
  const CoordinateRange all{0, dim};
  read_mask(cue.visible == nullptr ? std::span(&all, 1) : std::span(*cue.visible), dim, mask);
}

/// The distance in the metric from `state` ([dim]) to the item at `slot`.
inline float distance_to(const IndexContext& context, std::span<const float> state, Slot slot) {
  const VectorStore& store = context.store;
  AlignedBuffer buffer;
  std::byte* const row = buffer.reserve(query_bytes(store.dim()));
  encode_row(store.metric(), state, row);
  const Bound bound(context.kernel, {row}, store);
  return score_to_distance(store.metric(), bound.score(slot));
}

}  // namespace engram::recall
