// SPDX-License-Identifier: Apache-2.0
// Saving while inserts and erases go on. The links are copied node by node, under each one's lock,
// and written a megabyte at a time: a copy of them all would take as much memory as they do. So
// they are of as many moments as the writing takes. What changes meanwhile is in the journal, too,
// whose replay adds the same nodes again, and links them to those whose lists had them.
//
// All nodes are saved, not only those of the items: what was erased but not reclaimed leads walks,
// and so does what was inserted since the items were taken. load() keeps those of them that the
// store has. Nodes that are added after that moment are left out, with the links to them.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <span>
#include <vector>

#include "primitives/shared/hnsw/hnsw.h"
#include "primitives/shared/hnsw/structure.h"

namespace engram::hnsw {

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

/// The nodes that are saved.
struct SavedNodes {
  std::vector<std::uint8_t> levels;  // [slot_end], kNoNode for others

  [[nodiscard]] Slot end() const noexcept { return static_cast<Slot>(levels.size()); }
  [[nodiscard]] bool has(Slot slot) const noexcept {
    return slot < levels.size() && levels[slot] != kNoNode;
  }
};

/// Lists of `places` links each, to be written. Their memory is there when a node is locked.
class Lists {
 public:
  Lists(SectionWriter& writer, const SavedNodes& nodes, std::size_t places)
      : writer_(writer),
        nodes_(nodes),
        places_(places),
        links_(std::max(kPieceBytes / (places * sizeof(Slot)), std::size_t{1}) * places) {
    clear();
  }

  /// The next list: empty. Errors: the writer's.
  Result<LinkList> next() {
    if (used_ == links_.size()) ENGRAM_TRY(write());
    used_ += places_;
    return LinkList(&links_[used_ - places_], places_, nodes_.levels.size());
  }

  /// Writes what there is, without the links to nodes that are not saved.
  Status write() {
    for (std::size_t i = 0; i < used_; i += places_) {
      LinkList(&links_[i], places_, nodes_.levels.size()).retain([this](Slot slot) {
        return nodes_.has(slot);
      });
    }
    ENGRAM_TRY(writer_.append(std::as_bytes(std::span(links_.data(), used_))));
    clear();
    return {};
  }

 private:
  void clear() noexcept {
    for (std::atomic<Slot>& link : links_) link.store(kNoSlot, std::memory_order_relaxed);
    used_ = 0;
  }

  SectionWriter& writer_;
  const SavedNodes& nodes_;
  const std::size_t places_;
  std::vector<std::atomic<Slot>> links_;
  std::size_t used_ = 0;
};

Status write_header(SectionWriter& writer, std::size_t m, const SavedNodes& nodes, Entry entry,
                    std::uint32_t quant) {
  const Header header{.version = kStructureVersion,
                      .m = static_cast<std::uint32_t>(m),
                      .slot_end = nodes.end(),
                      .entry_slot = entry.slot,
                      .entry_level = entry.level,
                      .quant = quant};
  ENGRAM_TRY(writer.begin(kHeaderSection));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(&header, 1))));
  ENGRAM_TRY(writer.begin(kLevelsSection));
  return writer.append(std::as_bytes(std::span(nodes.levels)));
}

Status write_upper(SectionWriter& writer, const Graph& graph, const SavedNodes& nodes) {
  ENGRAM_TRY(writer.begin(kUpperSection));
  Lists lists(writer, nodes, graph.m());
  for (Slot slot = 0; slot < nodes.end(); ++slot) {
    for (unsigned level = 1; nodes.has(slot) && level <= nodes.levels[slot]; ++level) {
      const auto list = lists.next();
      if (!list) return tl::unexpected(list.error());
      const std::lock_guard lock(graph.lock(slot));
      graph.links(slot, level).copy_to(*list);
    }
  }
  return lists.write();
}

Status write_base(SectionWriter& writer, const Graph& graph, const SavedNodes& nodes) {
  ENGRAM_TRY(writer.begin(kBaseSection));
  Lists lists(writer, nodes, 2 * graph.m());
  for (Slot slot = 0; slot < nodes.end(); ++slot) {
    const auto list = lists.next();
    if (!list) return tl::unexpected(list.error());
    if (!nodes.has(slot)) continue;
    const std::lock_guard lock(graph.lock(slot));
    graph.links(slot, 0).copy_to(*list);
  }
  return lists.write();
}

/// `graph`'s entry point; if it came too late to be saved, the highest item, rather one with
/// neighbours.
Entry entry_to_save(const Graph& graph, const SavedNodes& nodes, const SlotSet& items) {
  const Entry current = graph.entry();
  if (nodes.has(current.slot)) return current;
  Entry best;
  bool best_is_linked = false;
  items.for_each(0, nodes.end(), [&](Slot slot) {
    const unsigned level = nodes.levels[slot];
    bool is_linked = false;
    graph.links(slot, 0, nodes.end()).for_each([&](Slot link) { is_linked |= nodes.has(link); });
    const bool better = is_linked != best_is_linked ? is_linked : level > best.level;
    if (best.slot != kNoSlot && !better) return;
    best = {slot, level};
    best_is_linked = is_linked;
  });
  return best;
}

}  // namespace

Status Hnsw::save(SectionWriter& writer, const SlotSet& items) const {
  const auto quant = static_cast<std::uint32_t>(config_.quant);
  if (auto levels = levels_without_graph(items)) {
    return write_header(writer, config_.m, {std::move(*levels)}, {}, quant);
  }
  const SavedNodes saved{levels_of_nodes()};
  const Entry entry = entry_to_save(graph_, saved, items);
  const std::uint32_t marks =
      (axis_.empty() ? 0 : kAlongAxis) | (comes_by_regions() ? kByRegions : 0);
  ENGRAM_TRY(write_header(writer, config_.m, saved, entry, quant | marks));
  if (entry.slot == kNoSlot) return {};
  ENGRAM_TRY(write_upper(writer, graph_, saved));
  ENGRAM_TRY(write_base(writer, graph_, saved));
  if (codes_ == nullptr && follower_ == nullptr) return {};
  SlotSet nodes;
  ENGRAM_TRY(nodes.ensure(saved.end()));
  for (Slot slot = 0; slot < saved.end(); ++slot) {
    if (saved.has(slot)) nodes.add(slot);
  }
  if (follower_ != nullptr) ENGRAM_TRY(follower_->save(writer, nodes));
  if (codes_ == nullptr) return {};
  if (!axis_.empty()) {
    ENGRAM_TRY(writer.begin(kAxisSection));
    ENGRAM_TRY(writer.append(std::as_bytes(std::span(axis_))));
  }
  return codes_->save(writer, kCodesSection, nodes);
}

/// The section of levels of an index that has no graph; nothing if it has one.
std::optional<std::vector<std::uint8_t>> Hnsw::levels_without_graph(const SlotSet& items) const {
  const std::lock_guard lock(small_mutex_);
  if (has_graph()) return std::nullopt;
  std::vector<std::uint8_t> levels;
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    levels.resize(std::size_t{slot} + 1, kNoNode);
    levels[slot] = levels_[slot];
  });
  return levels;
}

/// What the section of levels has.
std::vector<std::uint8_t> Hnsw::levels_of_nodes() const {
  std::vector<std::uint8_t> levels;
  levels.reserve(graph_.node_end());
  nodes_.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    levels.resize(std::size_t{slot} + 1, kNoNode);
    levels[slot] = static_cast<std::uint8_t>(graph_.level(slot));
  });
  return levels;
}

}  // namespace engram::hnsw
