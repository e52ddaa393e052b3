// SPDX-License-Identifier: Apache-2.0
// The structure in sections, all little-endian:
//   hnsw.header  Header
//   hnsw.nodes   a bit per slot: nodes (slot_set_io.h)
//   hnsw.held    a bit per slot: those of them that are held
//   hnsw.levels  a byte per slot below header.slot_end: its highest level
//   hnsw.base    [slot_end][2M] slots: level 0, unused places kNoSlot
//   hnsw.upper   [M] slots for each level above 0 of each node, by slot and level
#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>

#include "primitives/hnsw/hnsw.h"
#include "primitives/slot_set_io.h"

namespace engram::hnsw {
namespace {

static_assert(std::endian::native == std::endian::little, "sections are little-endian");

constexpr std::uint32_t kVersion = 1;

struct Header {
  std::uint32_t version;
  std::uint32_t m;
  std::uint32_t slot_end;  // one past the highest node
  std::uint32_t entry_slot;
  std::uint32_t entry_level;
  std::uint32_t reserved;
};
static_assert(sizeof(Header) == 24);

tl::unexpected<Error> damaged(std::string message) {
  return fail(ErrorCode::kDataLoss, "hnsw structure: " + std::move(message));
}

/// Appends to a section in pieces that are large enough.
template <class T>
class BufferedWriter {
 public:
  explicit BufferedWriter(SectionWriter& writer) : writer_(writer) { buffer_.reserve(kPiece); }

  Status add(T value) {
    buffer_.push_back(value);
    return buffer_.size() < kPiece ? Status{} : flush();
  }
  Status flush() {
    ENGRAM_TRY(writer_.append(std::as_bytes(std::span(buffer_))));
    buffer_.clear();
    return {};
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 16;

  SectionWriter& writer_;
  std::vector<T> buffer_;
};

Status save_list(const LinkList& links, BufferedWriter<Slot>& out) {
  for (std::size_t i = 0; i < links.capacity(); ++i) ENGRAM_TRY(out.add(links[i]));
  return {};
}

/// Takes lists off the front of a section whose size has been checked.
class ListReader {
 public:
  ListReader(std::span<const std::byte> bytes, std::size_t degree)
      : bytes_(bytes), degree_(degree) {}

  /// The next list up to its end mark.
  void next(std::vector<Slot>& list) {
    list.resize(degree_);
    std::memcpy(list.data(), bytes_.data(), degree_ * sizeof(Slot));
    bytes_ = bytes_.subspan(degree_ * sizeof(Slot));
    list.erase(std::find(list.begin(), list.end(), kNoSlot), list.end());
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t degree_;
};

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

struct LinkSections {
  std::span<const std::byte> base;
  std::span<const std::byte> upper;
};

/// The sections of links. slot_end, upper_lists, m: how many lists they must have, of what size.
Result<LinkSections> read_links(SectionReader& reader, Slot slot_end, std::size_t upper_lists,
                                std::size_t m) {
  const std::size_t list_bytes = m * sizeof(Slot);
  const auto base = read_section(reader, "hnsw.base", std::size_t{slot_end} * 2 * list_bytes);
  if (!base) return tl::unexpected(base.error());
  const auto upper = read_section(reader, "hnsw.upper", upper_lists * list_bytes);
  if (!upper) return tl::unexpected(upper.error());
  return LinkSections{*base, *upper};
}

}  // namespace

Status Hnsw::save(SectionWriter& writer) const {
  const Entry entry = graph_.entry();
  const auto slot_end = static_cast<Slot>(graph_.node_end());
  const Header header{.version = kVersion,
                      .m = static_cast<std::uint32_t>(config_.m),
                      .slot_end = slot_end,
                      .entry_slot = entry.slot,
                      .entry_level = entry.level,
                      .reserved = 0};
  ENGRAM_TRY(writer.begin("hnsw.header"));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(&header, 1))));
  ENGRAM_TRY(save_slots(writer, "hnsw.nodes", nodes_));
  ENGRAM_TRY(save_slots(writer, "hnsw.held", held_));
  ENGRAM_TRY(save_levels(writer, slot_end));
  return save_links(writer, slot_end);
}

Status Hnsw::save_levels(SectionWriter& writer, Slot slot_end) const {
  ENGRAM_TRY(writer.begin("hnsw.levels"));
  BufferedWriter<std::uint8_t> levels(writer);
  for (Slot slot = 0; slot < slot_end; ++slot) {
    const unsigned level = nodes_.contains(slot) ? graph_.level(slot) : 0;
    ENGRAM_TRY(levels.add(static_cast<std::uint8_t>(level)));
  }
  return levels.flush();
}

Status Hnsw::save_links(SectionWriter& writer, Slot slot_end) const {
  BufferedWriter<Slot> out(writer);
  ENGRAM_TRY(writer.begin("hnsw.base"));
  for (Slot slot = 0; slot < slot_end; ++slot) ENGRAM_TRY(save_list(graph_.links(slot, 0), out));
  ENGRAM_TRY(out.flush());

  ENGRAM_TRY(writer.begin("hnsw.upper"));
  for (Slot slot = 0; slot < slot_end; ++slot) {
    const unsigned top = nodes_.contains(slot) ? graph_.level(slot) : 0;
    for (unsigned level = 1; level <= top; ++level) {
      ENGRAM_TRY(save_list(graph_.links(slot, level), out));
    }
  }
  return out.flush();
}

Status Hnsw::load(SectionReader& reader) {
  const auto bytes = read_section(reader, "hnsw.header", sizeof(Header));
  if (!bytes) return tl::unexpected(bytes.error());
  Header header;
  std::memcpy(&header, bytes->data(), sizeof header);
  if (header.version != kVersion) {
    return damaged("version " + std::to_string(header.version) + ", this build reads " +
                   std::to_string(kVersion));
  }
  if (header.m != config_.m) {
    return damaged("made with M " + std::to_string(header.m) + ", the index has " +
                   std::to_string(config_.m));
  }
  if (header.slot_end > kMaxSlots) {
    return damaged("spans " + std::to_string(header.slot_end) + " slots");
  }
  ENGRAM_TRY(load_nodes(reader, header.slot_end));
  ENGRAM_TRY(load_links(reader, header.slot_end));
  return finish_load({header.entry_slot, header.entry_level});
}

/// The sets, and nodes of the right levels without links. No node is made before the sections of
/// links are known to have the bytes that such levels need: a damaged byte per slot must not have
/// gigabytes allocated.
Status Hnsw::load_nodes(SectionReader& reader, Slot slot_end) {
  const auto levels = read_section(reader, "hnsw.levels", slot_end);
  if (!levels) return tl::unexpected(levels.error());
  ENGRAM_TRY(load_slots(reader, "hnsw.nodes", slot_end, nodes_));
  ENGRAM_TRY(load_slots(reader, "hnsw.held", std::min(slot_end, context_.store.slot_end()), held_));
  std::size_t upper_lists = 0;
  for (Slot slot = 0; slot < slot_end; ++slot) {
    if (!nodes_.contains(slot)) {
      if (held_.contains(slot)) return damaged("slot " + std::to_string(slot) + " has no node");
      continue;
    }
    const auto level = std::to_integer<unsigned>((*levels)[slot]);
    if (level > kMaxLevel) {
      return damaged("node " + std::to_string(slot) + " has level " + std::to_string(level));
    }
    upper_lists += level;
  }
  ENGRAM_TRY(read_links(reader, slot_end, upper_lists, config_.m));
  for (Slot slot = 0; slot < slot_end; ++slot) {
    if (!nodes_.contains(slot)) continue;
    ENGRAM_TRY(graph_.add_node(slot, std::to_integer<unsigned>((*levels)[slot])));
  }
  return {};
}

Status Hnsw::load_links(SectionReader& reader, Slot slot_end) {
  std::size_t upper_lists = 0;
  nodes_.for_each(0, slot_end, [&](Slot slot) { upper_lists += graph_.level(slot); });
  const auto links = read_links(reader, slot_end, upper_lists, config_.m);
  if (!links) return tl::unexpected(links.error());

  ListReader base_lists(links->base, 2 * config_.m);
  ListReader upper_lists_of(links->upper, config_.m);
  std::vector<Slot> list;
  VisitedSet seen;
  for (Slot slot = 0; slot < slot_end; ++slot) {
    base_lists.next(list);
    if (!nodes_.contains(slot)) continue;
    for (unsigned level = 0; level <= graph_.level(slot); ++level) {
      if (level > 0) upper_lists_of.next(list);
      ENGRAM_TRY(load_list(slot, level, list, seen));
    }
  }
  return {};
}

/// Takes over a list after checking that each link leads to another node of that level, once.
Status Hnsw::load_list(Slot node, unsigned level, std::span<const Slot> list, VisitedSet& seen) {
  seen.start(graph_.node_end());
  seen.insert(node);
  LinkList links = graph_.links(node, level);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const bool is_node = nodes_.contains(list[i]) && graph_.level(list[i]) >= level;
    if (!is_node || !seen.insert(list[i])) {
      return damaged("node " + std::to_string(node) + " has on level " + std::to_string(level) +
                     " a link to " + std::to_string(list[i]) +
                     ", which is itself, there already or no node of that level");
    }
    links.append(i, list[i]);
  }
  return {};
}

/// Sets the entry point and lets go of nodes that were erased: the store does not know them.
Status Hnsw::finish_load(Entry entry) {
  const bool is_entry = entry.slot == kNoSlot ? nodes_.size() == 0
                                              : nodes_.contains(entry.slot) &&
                                                    graph_.level(entry.slot) == entry.level;
  if (!is_entry && held_.size() > 0) {
    return damaged("the entry point, slot " + std::to_string(entry.slot) + " on level " +
                   std::to_string(entry.level) + ", is no node of that level");
  }
  graph_.set_entry(is_entry ? entry : Entry{});
  std::vector<Slot> erased;
  nodes_.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    if (!held_.contains(slot)) erased.push_back(slot);
  });
  if (erased.empty()) return {};
  Scratch scratch;
  return reclaim(erased, scratch);
}

}  // namespace engram::hnsw
