// SPDX-License-Identifier: Apache-2.0
#include "primitives/lsr/neighborhood.h"

#include <algorithm>
#include <span>

#include "core/row.h"
#include "primitives/shared/rows/rows.h"

namespace engram::lsr {

Status Neighborhood::look(double radius, std::size_t candidates, std::vector<Near>& near) {
  const double squared_radius = radius * radius;
  // A graph over inner products does not know which vectors are near.
  const bool walks = items_.graph != nullptr && memory_.context.store.metric() != Metric::kDot;
  for (std::size_t count = candidates;; count *= 2) {
    const bool sees_all = !walks || !recall::is_worth_a_walk(count, candidates, items_.count);
    if (sees_all) {
      items_.among->list(buffers_.slots);
    } else {
      is_exact_ = false;
      ENGRAM_TRY(ask_graph(count));
    }
    measure();
    const auto& squares = buffers_.squares;
    const bool is_beyond =
        !squares.empty() && *std::max_element(squares.begin(), squares.end()) >= squared_radius;
    if (sees_all || is_beyond) break;
  }
  near.clear();
  nearest_ = {kNoSlot, 0};
  for (std::size_t i = 0; i < buffers_.slots.size(); ++i) {
    const Near item{buffers_.slots[i], buffers_.squares[i]};
    if (item.square < squared_radius) near.push_back(item);
    if (nearest_.slot == kNoSlot ? item.square >= 0 : item.square < nearest_.square) {
      nearest_ = item;
    }
  }
  if (bias_ != nullptr) add_handicaps(near);
  return {};
}

void Neighborhood::add_handicaps(std::vector<Near>& near) {
  auto& slots = buffers_.near_slots;
  slots.clear();
  for (const Near& item : near) slots.push_back(item.slot);
  buffers_.handicaps.resize(slots.size());
  bias_->handicaps(slots, buffers_.handicaps);
  for (std::size_t i = 0; i < near.size(); ++i) near[i].handicap = buffers_.handicaps[i];
}

double least_handicap(const std::vector<Near>& near) {
  const auto least = std::min_element(near.begin(), near.end(), [](const Near& a, const Near& b) {
    return a.handicap < b.handicap;
  });
  return least == near.end() ? 0 : least->handicap;
}

/// Fills buffers.slots with the items nearest to the state, ascending.
Status Neighborhood::ask_graph(std::size_t count) {
  const Query query{reinterpret_cast<const std::byte*>(buffers_.state.data())};
  ENGRAM_TRY(items_.graph->search(query, {.k = count, .ef = 2 * count}, scratch_, buffers_.hits));
  buffers_.slots.clear();
  for (const Hit& hit : buffers_.hits) {
    if (items_.among->contains(hit.slot)) buffers_.slots.push_back(hit.slot);
  }
  std::sort(buffers_.slots.begin(), buffers_.slots.end());
  return {};
}

/// The squared distances of buffers.slots.
void Neighborhood::measure() {
  buffers_.squares.resize(buffers_.slots.size());
  recall::for_each_piece(memory_.context.store, buffers_.slots, buffers_.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t first) {
                           algebra_.weighted_squares(
                               buffers_.state.data(), buffers_.mask.data(), rows,
                               std::span(buffers_.squares).subspan(first, rows.size()));
                         });
}

void Neighborhood::average(const std::vector<Near>& near) {
  const VectorStore& store = memory_.context.store;
  const double least = least_handicap(near);
  double strengths = 0;
  buffers_.near_slots.clear();
  buffers_.factors.clear();
  for (const Near& item : near) {
    buffers_.near_slots.push_back(item.slot);
    buffers_.factors.push_back(relative_strength(item, least));
    strengths += buffers_.factors.back();
  }
  buffers_.sum.assign(row_bytes(store.dim()) / sizeof(float), 0.0);
  recall::for_each_piece(store, buffers_.near_slots, buffers_.decoded,
                         [&](std::span<const std::byte* const> rows, std::size_t first) {
                           algebra_.add_rows(
                               std::span(buffers_.factors).subspan(first, rows.size()), rows,
                               buffers_.sum);
                         });
  // Divided at last, so that the mean of one item is the item.
  for (double& value : buffers_.sum) value /= strengths;
}

}  // namespace engram::lsr
