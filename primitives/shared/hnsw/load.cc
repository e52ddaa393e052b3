// SPDX-License-Identifier: Apache-2.0
// Loading reads a byte per slot and the few upper lists, and places level 0 without a look at it:
// graph.h says why that is safe. So it takes a few milliseconds, however many links there are.
#include <algorithm>
#include <cstring>
#include <string>

#include "primitives/shared/hnsw/hnsw.h"
#include "primitives/shared/hnsw/structure.h"

namespace engram::hnsw {
namespace {

tl::unexpected<Error> damaged(std::string message) {
  return fail(ErrorCode::kDataLoss, "hnsw structure: " + std::move(message));
}

/// The bytes of a section that must have exactly `size` of them.
Result<std::span<const std::byte>> read_section(SectionReader& reader, std::string_view name,
                                                std::size_t size) {
  auto bytes = reader.section(name);
  if (bytes && bytes->size() != size) {
    return damaged("section '" + std::string(name) + "' has " + std::to_string(bytes->size()) +
                   " bytes, " + std::to_string(size) + " were expected");
  }
  return bytes;
}

Result<Header> read_structure_header(SectionReader& reader, std::size_t m, Element quant) {
  const auto bytes = read_section(reader, kHeaderSection, sizeof(Header));
  if (!bytes) return tl::unexpected(bytes.error());
  Header header;
  std::memcpy(&header, bytes->data(), sizeof header);
  if (header.version < kOldestStructureVersion || header.version > kStructureVersion) {
    return damaged("version " + std::to_string(header.version) + ", this build reads " +
                   std::to_string(kOldestStructureVersion) + " to " +
                   std::to_string(kStructureVersion));
  }
  if (header.m != m) {
    return damaged("made with M " + std::to_string(header.m) + ", the index has " +
                   std::to_string(m));
  }
  if ((header.quant & ~(kAlongAxis | kByRegions)) != static_cast<std::uint32_t>(quant)) {
    return damaged("made with another QUANT than the index has, " +
                   std::string(element_name(quant)));
  }
  if (header.slot_end > kMaxSlots) {
    return damaged("spans " + std::to_string(header.slot_end) + " slots");
  }
  return header;
}

/// How many lists above level 0 nodes of such levels have.
Result<std::size_t> count_upper_lists(std::span<const std::byte> levels) {
  std::size_t count = 0;
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    const auto level = std::to_integer<std::uint8_t>(levels[slot]);
    if (level == kNoNode) continue;
    if (level > kMaxLevel) {
      return damaged("node " + std::to_string(slot) + " has level " + std::to_string(level));
    }
    count += level;
  }
  return count;
}

}  // namespace

/// No memory is taken before the sections of links are known to have the bytes that such levels
/// need: a damaged byte per slot must not have gigabytes allocated.
Status Hnsw::load(SectionReader& reader, const SlotSet& items) {
  const auto header = read_structure_header(reader, config_.m, config_.quant);
  if (!header) return tl::unexpected(header.error());
  const auto levels = read_section(reader, kLevelsSection, header->slot_end);
  if (!levels) return tl::unexpected(levels.error());
  const auto upper_lists = count_upper_lists(*levels);
  if (!upper_lists) return tl::unexpected(upper_lists.error());
  if (header->entry_slot == kNoSlot) return load_levels(*levels, items);
  const std::size_t upper_bytes = *upper_lists * config_.m * sizeof(Slot);
  const auto upper = read_section(reader, kUpperSection, upper_bytes);
  if (!upper) return tl::unexpected(upper.error());

  const std::size_t node_end = std::min(header->slot_end, context_.store.slot_end());
  ENGRAM_TRY(graph_.adopt(reader, kBaseSection, *levels, *upper, node_end));
  ENGRAM_TRY(check_upper_links(*levels));
  if (follower_ != nullptr) ENGRAM_TRY(follower_->load(reader, header->slot_end));
  ENGRAM_TRY(load_nodes(*levels, items));
  if (codes_ != nullptr) ENGRAM_TRY(load_codes(reader, *header));
  ENGRAM_TRY(load_entry({header->entry_slot, header->entry_level}, *levels));
  was_by_regions_ = (header->quant & kByRegions) != 0;
  has_graph_.store(true, std::memory_order_release);
  return {};
}

/// Of an index that has no graph.
Status Hnsw::load_levels(std::span<const std::byte> levels, const SlotSet& items) {
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(levels.data());
  levels_.assign(begin, begin + levels.size());
  Slot without = kNoSlot;
  items.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    if (slot >= levels_.size() || levels_[slot] == kNoNode) without = slot;
  });
  context_.store.for_each_free([&](Slot slot) {
    if (items.contains(slot)) without = slot;
  });
  if (without != kNoSlot || items.end() > context_.store.slot_end()) {
    return damaged("slot " + std::to_string(without == kNoSlot ? items.end() - 1 : without) +
                   " has no level or no vector");
  }
  return held_.assign(items);
}

/// That links of level l lead to nodes that have it: no walk looks for a list that is not there.
Status Hnsw::check_upper_links(std::span<const std::byte> levels) const {
  for (Slot node = 0; node < graph_.node_end(); ++node) {
    for (unsigned level = 1; level <= graph_.level(node); ++level) {
      const LinkList links = graph_.links(node, level);
      const std::size_t taken = links.size();
      for (std::size_t i = 0; i < links.capacity(); ++i) {
        const Slot link = links[i];
        if (i >= taken && link == kNoSlot) continue;
        const bool is_sound = i < taken && link < levels.size() &&
                              levels[link] != std::byte{kNoNode} &&
                              std::to_integer<unsigned>(levels[link]) >= level;
        if (is_sound) continue;
        return damaged("node " + std::to_string(node) + " has on level " + std::to_string(level) +
                       " a link to " + std::to_string(link) +
                       ", which is no node of that level, or stands behind the end of its list");
      }
    }
  }
  return {};
}

/// Of the saved nodes takes those that the store has: the items, and others as erased ones.
Status Hnsw::load_nodes(std::span<const std::byte> levels, const SlotSet& items) {
  if (items.end() > graph_.node_end()) {
    return damaged("slot " + std::to_string(items.end() - 1) + " has no node");
  }
  Slot without_node = kNoSlot;
  std::size_t saved = 0;
  ENGRAM_TRY(nodes_.assign(items));
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto slot = static_cast<Slot>(i);
    const bool is_item = items.contains(slot);
    if (levels[i] == std::byte{kNoNode}) {
      if (is_item) without_node = slot;
      continue;
    }
    ++saved;
    if (is_item || slot >= graph_.node_end()) continue;
    if (auto added = nodes_.insert(slot); !added) return tl::unexpected(std::move(added.error()));
  }
  context_.store.for_each_free([&](Slot slot) {
    nodes_.erase(slot);
    if (items.contains(slot)) without_node = slot;
  });
  if (without_node != kNoSlot) {
    return damaged("slot " + std::to_string(without_node) + " has no node or no vector");
  }
  if (nodes_.size() < saved) forget_strangers();
  return held_.assign(items);
}

/// Drops the links to slots that are no nodes. A pass over all links, needed only if the structure
/// was saved later than the vectors, and something was inserted between.
void Hnsw::forget_strangers() {
  HnswBuffers working;
  nodes_.for_each(0, Slot{kMaxSlots}, [&](Slot node) {
    remember(graph_.links(node, 0), working);
    for (unsigned level = 0; level <= graph_.level(node); ++level) {
      graph_.links(node, level).retain([this](Slot slot) { return nodes_.contains(slot); });
    }
    follow(node, graph_.links(node, 0), working);
  });
}

Status Hnsw::load_entry(Entry entry, std::span<const std::byte> levels) {
  const bool is_node = entry.slot < levels.size() && entry.level <= kMaxLevel &&
                       std::to_integer<unsigned>(levels[entry.slot]) == entry.level;
  if (!is_node && held_.size() > 0) {
    return damaged("the entry point, slot " + std::to_string(entry.slot) + " on level " +
                   std::to_string(entry.level) + ", is no node of that level");
  }
  if (!is_node) return {};
  graph_.set_entry(entry);
  if (!nodes_.contains(entry.slot)) replace_entry();
  return {};
}

}  // namespace engram::hnsw
