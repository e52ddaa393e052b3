// SPDX-License-Identifier: Apache-2.0
// Saving while inserts and erases go on. The links are copied first, node by node under each one's
// lock, so that they are all from nearly the same time; writing them to a file takes longer. The
// copy costs the memory of the links once more, until save() returns: 44 MB for 341,479 nodes at
// M = 16.
//
// All nodes are saved, not only those of the items: what was erased but not reclaimed leads walks,
// and so does what was inserted since the items were taken. load() keeps those of them that the
// store has. Nodes that are added while links are copied are left out, with the links to them.
#include <cstring>
#include <mutex>

#include "primitives/shared/hnsw/hnsw.h"
#include "primitives/shared/hnsw/structure.h"

namespace engram::hnsw {

/// The links of the nodes that are saved.
struct StructureCopy {
  static Result<StructureCopy> make(std::vector<std::uint8_t> levels, std::size_t m);

  bool has(Slot slot) const noexcept { return slot < levels.size() && levels[slot] != kNoNode; }
  LinkList base_list(Slot slot) const noexcept {
    return {links_of(base) + std::size_t{slot} * 2 * m, 2 * m, levels.size()};
  }
  /// The i-th list of `upper`.
  LinkList upper_list(std::size_t i) const noexcept {
    return {links_of(upper) + i * m, m, levels.size()};
  }
  void forget_strangers();
  Status write(SectionWriter& writer, Entry entry, std::uint32_t quant) const;
  Status collect_nodes(SlotSet& nodes) const;

  std::size_t m;
  std::vector<std::uint8_t> levels;  // [slot_end], kNoNode for those not saved
  std::size_t upper_lists;
  FixedMemory base;   // [slot_end][2m]
  FixedMemory upper;  // [upper_lists][m]

 private:
  static std::atomic<Slot>* links_of(const FixedMemory& memory) noexcept {
    return reinterpret_cast<std::atomic<Slot>*>(memory.data());
  }
  std::size_t base_bytes() const noexcept { return levels.size() * 2 * m * sizeof(Slot); }
  std::size_t upper_bytes() const noexcept { return upper_lists * m * sizeof(Slot); }
};

namespace {

/// `bytes` of memory that holds kNoSlot everywhere. Its pages are all there: no node is locked
/// while the system finds one.
Result<FixedMemory> make_empty_lists(std::size_t bytes) {
  auto memory = FixedMemory::allocate(bytes);
  if (!memory || bytes == 0) return memory;
  memory->prefer_huge_pages();
  static_assert(kNoSlot == 0xFFFFFFFF);
  std::memset(memory->data(), 0xFF, bytes);
  return memory;
}

}  // namespace

Result<StructureCopy> StructureCopy::make(std::vector<std::uint8_t> levels, std::size_t m) {
  StructureCopy copy{
      .m = m, .levels = std::move(levels), .upper_lists = 0, .base = {}, .upper = {}};
  for (const std::uint8_t level : copy.levels) copy.upper_lists += level == kNoNode ? 0 : level;
  auto base = make_empty_lists(copy.base_bytes());
  if (!base) return tl::unexpected(std::move(base.error()));
  auto upper = make_empty_lists(copy.upper_bytes());
  if (!upper) return tl::unexpected(std::move(upper.error()));
  copy.base = std::move(*base);
  copy.upper = std::move(*upper);
  return copy;
}

/// Drops the links to nodes that were added while links were copied.
void StructureCopy::forget_strangers() {
  const auto is_saved = [this](Slot slot) { return has(slot); };
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    base_list(static_cast<Slot>(slot)).retain(is_saved);
  }
  for (std::size_t i = 0; i < upper_lists; ++i) upper_list(i).retain(is_saved);
}

/// Makes `nodes`, a new set, those that are saved.
Status StructureCopy::collect_nodes(SlotSet& nodes) const {
  ENGRAM_TRY(nodes.ensure(levels.size()));
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    if (has(static_cast<Slot>(slot))) nodes.add(static_cast<Slot>(slot));
  }
  return {};
}

Status StructureCopy::write(SectionWriter& writer, Entry entry, std::uint32_t quant) const {
  const Header header{.version = kStructureVersion,
                      .m = static_cast<std::uint32_t>(m),
                      .slot_end = static_cast<std::uint32_t>(levels.size()),
                      .entry_slot = entry.slot,
                      .entry_level = entry.level,
                      .quant = quant};
  ENGRAM_TRY(writer.begin(kHeaderSection));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(&header, 1))));
  ENGRAM_TRY(writer.begin(kLevelsSection));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(levels))));
  if (entry.slot == kNoSlot) return {};
  ENGRAM_TRY(writer.begin(kUpperSection));
  ENGRAM_TRY(writer.append({upper.data(), upper_bytes()}));
  ENGRAM_TRY(writer.begin(kBaseSection));
  return writer.append({base.data(), base_bytes()});
}

Status Hnsw::save(SectionWriter& writer, const SlotSet& items) const {
  if (auto levels = levels_without_graph(items)) {
    auto copy = StructureCopy::make({}, config_.m);
    if (!copy) return tl::unexpected(std::move(copy.error()));
    copy->levels = std::move(*levels);
    return copy->write(writer, {}, static_cast<std::uint32_t>(config_.quant));
  }
  auto copy = StructureCopy::make(levels_of_nodes(), config_.m);
  if (!copy) return tl::unexpected(std::move(copy.error()));
  copy_links(*copy);
  copy->forget_strangers();
  const Entry entry = entry_to_save(*copy, items);
  const std::uint32_t marks =
      (axis_.empty() ? 0 : kAlongAxis) | (comes_by_regions() ? kByRegions : 0);
  ENGRAM_TRY(copy->write(writer, entry, static_cast<std::uint32_t>(config_.quant) | marks));
  if (entry.slot == kNoSlot || (codes_ == nullptr && follower_ == nullptr)) return {};
  SlotSet nodes;
  ENGRAM_TRY(copy->collect_nodes(nodes));
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

void Hnsw::copy_links(StructureCopy& copy) const {
  std::size_t upper = 0;
  for (std::size_t i = 0; i < copy.levels.size(); ++i) {
    const auto slot = static_cast<Slot>(i);
    if (!copy.has(slot)) continue;
    const std::lock_guard lock(graph_.lock(slot));
    graph_.links(slot, 0).copy_to(copy.base_list(slot));
    for (unsigned level = 1; level <= copy.levels[slot]; ++level) {
      graph_.links(slot, level).copy_to(copy.upper_list(upper++));
    }
  }
}

/// The entry point; if it came too late to be saved, the highest item, rather one with neighbours.
Entry Hnsw::entry_to_save(const StructureCopy& copy, const SlotSet& items) const {
  const Entry current = graph_.entry();
  if (copy.has(current.slot)) return current;
  Entry best;
  bool best_is_linked = false;
  items.for_each(0, static_cast<Slot>(copy.levels.size()), [&](Slot slot) {
    const unsigned level = copy.levels[slot];
    const bool is_linked = copy.base_list(slot).size() > 0;
    const bool better = is_linked != best_is_linked ? is_linked : level > best.level;
    if (best.slot != kNoSlot && !better) return;
    best = {slot, level};
    best_is_linked = is_linked;
  });
  return best;
}

}  // namespace engram::hnsw
