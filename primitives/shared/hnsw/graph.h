// SPDX-License-Identifier: Apache-2.0
// The links of an HNSW graph [Malkov2018], and nothing else: no vectors, no distances.
//
// Threads. Readers take no lock. A link is an atomic slot, stored with release and loaded with
// acquire, so whoever sees a link sees the row and the lists that were written before it was made.
// A writer holds the lock of the node whose list it rewrites, and rewrites it in place: a reader
// may meet a mixture of the old list and the new. That does no harm, because every entry of either
// is a valid link; at worst the reader takes one twice, which its visited set absorbs, or misses
// one for the length of one hop.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <thread>

#include "core/growing_array.h"
#include "core/prefetch.h"
#include "core/reserved_memory.h"
#include "core/result.h"
#include "core/sections.h"
#include "core/slot.h"

namespace engram::hnsw {

/// The highest level a node may have. At M = 2 a collection of kMaxSlots expects 28 levels.
inline constexpr unsigned kMaxLevel = 31;

/// The bounds of the option M, and so the longest list there is.
inline constexpr std::size_t kMinM = 2;
inline constexpr std::size_t kMaxM = 512;
inline constexpr std::size_t kMaxDegree = 2 * kMaxM;

/// What saved levels have for a slot that is no node.
inline constexpr std::uint8_t kNoNode = 0xFF;

/// Where searches begin.
struct Entry {
  Slot slot = kNoSlot;  ///< kNoSlot when the graph is empty
  unsigned level = 0;
};

/// A node's neighbours on one level, as read by others: ends at the first kNoSlot or when full. A
/// link may be marked as kept: no selection drops it, for it may be the only way to its end.
class LinkList {
 public:
  /// end: one past the highest slot that for_each() yields.
  LinkList(std::atomic<Slot>* links, std::size_t capacity, std::size_t end)
      : links_(links), capacity_(capacity), end_(end) {}

  std::size_t capacity() const noexcept { return capacity_; }

  /// The i-th place, i < capacity(): a neighbour or kNoSlot.
  Slot operator[](std::size_t i) const noexcept {
    const Slot link = load(i);
    return link == kNoSlot ? kNoSlot : link & ~kKept;
  }

  /// Calls visit(slot, is_kept) for each neighbour. Any thread. One that is beyond the end is left
  /// out: it became a node after this was made, or the link is damaged. Whoever holds the node's
  /// lock, and has made this since, misses no sound one.
  template <class Visit>
  void for_each_link(Visit&& visit) const {
    for (std::size_t i = 0; i < capacity_; ++i) {
      const Slot link = load(i);
      const Slot slot = link & ~kKept;
      if (slot < end_) {
        visit(slot, link != slot);
      } else if (link == kNoSlot) {
        return;
      }
    }
  }

  /// Calls visit(slot) for each neighbour.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for_each_link([&](Slot slot, bool /*is_kept*/) { visit(slot); });
  }

  /// Calls visit(slot) for each neighbour whose link is kept.
  template <class Visit>
  void for_each_kept(Visit&& visit) const {
    for_each_link([&](Slot slot, bool is_kept) {
      if (is_kept) visit(slot);
    });
  }

  /// How many places are taken.
  std::size_t size() const noexcept {
    std::size_t count = 0;
    while (count < capacity_ && load(count) != kNoSlot) ++count;
    return count;
  }

  /// Copies all places to a list of the same capacity. Caller holds the lock of both nodes, or is
  /// alone with that one.
  void copy_to(const LinkList& other) const noexcept {
    for (std::size_t i = 0; i < capacity_; ++i) {
      other.links_[i].store(load(i), std::memory_order_relaxed);
    }
  }

  /// Removes the links for which keep(slot) is false. Caller holds the node's lock, or is alone.
  template <class Keep>
  void retain(Keep&& keep) noexcept {
    const std::size_t count = size();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Slot link = load(i);
      if (!keep(link & ~kKept)) continue;
      if (kept != i) links_[kept].store(link, std::memory_order_release);
      ++kept;
    }
    for (; kept < count; ++kept) links_[kept].store(kNoSlot, std::memory_order_relaxed);
  }

  /// Replaces the list. neighbors: at most capacity(). kept: those of them whose links are kept.
  /// Caller holds the node's lock.
  void assign(std::span<const Hit> neighbors, std::span<const Slot> kept = {}) noexcept;

  /// Adds a neighbour to a list of `size` < capacity(): all places behind it are kNoSlot already.
  /// Caller holds the node's lock.
  void append(std::size_t size, Slot slot, bool is_kept = false) noexcept {
    links_[size].store(is_kept ? slot | kKept : slot, std::memory_order_release);
  }

  /// Marks the link in place i as kept. Caller holds the node's lock.
  void keep(std::size_t i) noexcept { links_[i].store(load(i) | kKept, std::memory_order_release); }

 private:
  static constexpr Slot kKept = Slot{1} << 31;
  static_assert(kMaxSlots <= kKept);

  Slot load(std::size_t i) const noexcept { return links_[i].load(std::memory_order_acquire); }

  std::atomic<Slot>* links_;
  std::size_t capacity_;
  std::size_t end_;
};

/// The lock of one node's lists: a byte, since there is one per node. Held for a list's rewriting,
/// so waiting threads spin. A repair keeps it longer, while it walks an erased region: then they
/// yield.
class NodeLock {
 public:
  void lock() noexcept {
    for (unsigned spins = 0; locked_.exchange(true, std::memory_order_acquire); ++spins) {
      if (spins >= kSpins) std::this_thread::yield();
    }
  }
  void unlock() noexcept { locked_.store(false, std::memory_order_release); }

 private:
  static constexpr unsigned kSpins = 64;
  std::atomic<bool> locked_;  // zero pages: unlocked
};

/// Level 0 is one array of 2M links per slot (at M = 16, 128 bytes: two cache lines), apart from
/// the vectors. The one node in M that has higher levels keeps them, M links each, in an array of
/// its own, or in the one that all nodes have that were adopted together. Rows of neither ever
/// move.
class Graph {
 public:
  explicit Graph(std::size_t m) : m_(m), base_(2 * m * sizeof(Slot), kSharedRows) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  /// The paper's M, and M_max of the levels above 0.
  std::size_t m() const noexcept { return m_; }
  /// M_max0 on level 0, M_max above.
  std::size_t capacity(unsigned level) const noexcept { return level == 0 ? 2 * m_ : m_; }

  /// Makes `slot` a node of levels 0..level with no neighbours. Nothing may refer to the slot, nor
  /// read what it was before. Errors: kResourceExhausted; the slot is no node then.
  Status add_node(Slot slot, unsigned level);

  /// Makes nodes of a saved structure, on a graph that has none. levels: [n], the highest level of
  /// each slot or kNoNode. base: a section of [n][2m] slots, see RowBlocks::load. upper: [m] slots
  /// for each level above 0 of each node, by slot and level; copied. Slots from node_end <= n on do
  /// not become nodes. The caller has checked the size of `upper`; its links are to be checked
  /// before they are followed. Errors: kDataLoss when `base` has another size; kResourceExhausted.
  Status adopt(SectionReader& reader, std::string_view base, std::span<const std::byte> levels,
               std::span<const std::byte> upper, std::size_t node_end);

  /// The highest level of a node.
  unsigned level(Slot slot) const noexcept { return nodes_[slot].level; }

  /// The neighbours of a node on one of its levels.
  LinkList links(Slot slot, unsigned level) const noexcept {
    return links(slot, level, node_end());
  }

  /// Those of them that are below `end`, at most what node_end() was.
  LinkList links(Slot slot, unsigned level, std::size_t end) const noexcept {
    if (level == 0) return {base(slot), 2 * m_, end};
    return {nodes_[slot].upper + (level - 1) * m_, m_, end};
  }

  /// Asks for a node's level-0 list to be fetched into cache.
  [[gnu::always_inline]] void prefetch_links(Slot slot) const noexcept {
    const auto* const list = reinterpret_cast<const std::byte*>(base(slot));
    prefetch(list);
    prefetch(list + 64);
  }

  /// See RowBlocks::fetch_placed, for the level-0 lists of several nodes.
  void fetch_links(std::span<const Slot> slots) const noexcept { base_.fetch_placed(slots); }

  NodeLock& lock(Slot slot) const noexcept { return nodes_[slot].lock; }

  /// Whether a node's list on a level is, in this order, what a selection from more neighbours than
  /// it has places left (select_neighbors.h). Not saved: of an adopted list nobody knows. Caller
  /// holds the node's lock, and says so when the list ceases to be it.
  bool is_selected(Slot slot, unsigned level) const noexcept {
    return (nodes_[slot].selected >> level & 1U) != 0;
  }
  void mark_selected(Slot slot, unsigned level, bool selected) noexcept {
    const std::uint32_t bit = std::uint32_t{1} << level;
    std::uint32_t& levels = nodes_[slot].selected;
    levels = selected ? levels | bit : levels & ~bit;
  }

  Entry entry() const noexcept { return unpack(entry_.load(std::memory_order_acquire)); }
  /// Writers agree among themselves who may.
  void set_entry(Entry entry) noexcept { entry_.store(pack(entry), std::memory_order_release); }

  /// One past the highest slot that was ever a node.
  std::size_t node_end() const noexcept { return node_end_.load(std::memory_order_acquire); }

  std::size_t memory_bytes() const noexcept;

 private:
  struct Node {
    std::atomic<Slot>* upper;  // [level][m], owned unless adopted; null at level 0
    std::uint32_t selected;    // a bit per level; guarded by the lock
    std::uint8_t level;
    mutable NodeLock lock;
  };
  static_assert(kMaxLevel < 32);

  // An Entry in one word, so that readers see both halves of it. An empty graph's is kNoSlot.
  static constexpr std::uint64_t pack(Entry entry) noexcept {
    return std::uint64_t{entry.level} << 32 | entry.slot;
  }
  static constexpr Entry unpack(std::uint64_t word) noexcept {
    return {static_cast<Slot>(word), static_cast<unsigned>(word >> 32)};
  }

  std::atomic<Slot>* base(Slot slot) const noexcept {
    return reinterpret_cast<std::atomic<Slot>*>(base_.row(slot));
  }

  Status resize_upper(Node& node, unsigned level);
  void drop_upper(Node& node) noexcept;
  bool is_adopted(const std::atomic<Slot>* upper) const noexcept;

  const std::size_t m_;
  RowBlocks base_;            // [slot][2m] of links
  GrowingArray<Node> nodes_;  // [slot]
  std::atomic<std::size_t> node_end_{0};
  FixedMemory adopted_upper_;
  std::atomic<std::size_t> upper_bytes_{0};  // of those not adopted
  std::atomic<std::uint64_t> entry_{pack({})};
};

}  // namespace engram::hnsw
