// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/graph.h"

#include <cstring>
#include <functional>
#include <new>

#include "core/assert.h"

namespace engram::hnsw {

void LinkList::assign(std::span<const Hit> neighbors, std::span<const Slot> kept) noexcept {
  ENGRAM_DASSERT(neighbors.size() <= capacity_);
  for (std::size_t i = 0; i < neighbors.size(); ++i) {
    const Slot slot = neighbors[i].slot;
    Slot mark = 0;  // without a branch: which are kept cannot be foreseen
    for (const Slot each : kept) mark |= each == slot ? kKept : 0;
    links_[i].store(slot | mark, std::memory_order_release);
  }
  for (std::size_t i = neighbors.size(); i < capacity_; ++i) {
    links_[i].store(kNoSlot, std::memory_order_relaxed);
  }
}

Graph::~Graph() {
  for (std::size_t slot = 0; slot < node_end_; ++slot) drop_upper(nodes_[slot]);
}

Status Graph::add_node(Slot slot, unsigned level) {
  ENGRAM_ASSERT(level <= kMaxLevel);
  const std::size_t count = std::size_t{slot} + 1;
  ENGRAM_TRY(nodes_.ensure(count));
  ENGRAM_TRY(base_.ensure(count));
  std::size_t end = node_end_.load(std::memory_order_relaxed);
  while (end < count && !node_end_.compare_exchange_weak(end, count)) {
  }
  ENGRAM_TRY(resize_upper(nodes_[slot], level));
  nodes_[slot].selected = 0;
  for (unsigned l = 0; l <= level; ++l) links(slot, l).assign({});
  return {};
}

Status Graph::adopt(SectionReader& reader, std::string_view base, std::span<const std::byte> levels,
                    std::span<const std::byte> upper, std::size_t node_end) {
  ENGRAM_ASSERT(node_end_ == 0 && node_end <= levels.size());
  ENGRAM_TRY(base_.load(reader, base, levels.size()));
  ENGRAM_TRY(nodes_.ensure(node_end));
  if (!upper.empty()) {
    auto memory = FixedMemory::allocate(upper.size());
    if (!memory) return tl::unexpected(std::move(memory.error()));
    adopted_upper_ = std::move(*memory);
    std::memcpy(adopted_upper_.data(), upper.data(), upper.size());
  }
  auto* next = reinterpret_cast<std::atomic<Slot>*>(adopted_upper_.data());
  for (std::size_t slot = 0; slot < node_end; ++slot) {
    const auto level = std::to_integer<std::uint8_t>(levels[slot]);
    if (level == 0 || level == kNoNode) continue;  // as the pages are: zero
    nodes_[slot].upper = next;
    nodes_[slot].level = level;
    next += level * m_;
  }
  node_end_.store(node_end, std::memory_order_release);
  return {};
}

Status Graph::resize_upper(Node& node, unsigned level) {
  if (node.upper != nullptr && node.level == level) return {};
  drop_upper(node);
  if (level == 0) return {};
  node.upper = new (std::nothrow) std::atomic<Slot>[level * m_];
  if (node.upper == nullptr) {
    return fail(ErrorCode::kResourceExhausted, "no memory for the links of a node");
  }
  node.level = static_cast<std::uint8_t>(level);
  upper_bytes_ += level * m_ * sizeof(Slot);
  return {};
}

void Graph::drop_upper(Node& node) noexcept {
  if (!is_adopted(node.upper)) {
    delete[] node.upper;
    upper_bytes_ -= node.level * m_ * sizeof(Slot);
  }
  node.upper = nullptr;
  node.level = 0;
}

bool Graph::is_adopted(const std::atomic<Slot>* upper) const noexcept {
  const auto* const address = reinterpret_cast<const std::byte*>(upper);
  const std::less<> before;
  return !before(address, adopted_upper_.data()) &&
         before(address, adopted_upper_.data() + adopted_upper_.size());
}

std::size_t Graph::memory_bytes() const noexcept {
  return base_.ready() * base_.row_bytes() + nodes_.ready_bytes() + adopted_upper_.size() +
         upper_bytes_;
}

}  // namespace engram::hnsw
