// SPDX-License-Identifier: Apache-2.0
// The structure in sections, all little-endian:
//   hnsw.header  Header
//   hnsw.levels  a byte per slot below header.slot_end: a node's highest level, or kNoNode
//   hnsw.upper   [M] slots for each level above 0 of each node, by slot and level
//   hnsw.base    [slot_end][2M] slots: level 0, for other slots than nodes unused
//   hnsw.axis    [dim] float32: what codes lie along, if header.quant has kAlongAxis
//   hnsw.codes   the codes that the index keeps itself, if it does: see RowBlocks::save
// Without an entry point there is no graph: hnsw.levels has the levels that the items will have as
// nodes, and the sections after it are missing. Unused places are kNoSlot and come last. The
// highest bit of a link of level 0 marks it as kept. hnsw.base and hnsw.codes are loaded by
// RowBlocks::load, which places what is not small; the others are read.
//
// Version 5 has rows of codes of whole cache lines. Version 4 has no mark of regions. Version 3 has
// neither marks of links nor an axis. Version 2 has none either, and all sections, be they empty.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "core/sections.h"

namespace engram::hnsw {

static_assert(std::endian::native == std::endian::little, "sections are little-endian");

inline constexpr std::string_view kHeaderSection = "hnsw.header";
inline constexpr std::string_view kLevelsSection = "hnsw.levels";
inline constexpr std::string_view kUpperSection = "hnsw.upper";
inline constexpr std::string_view kBaseSection = "hnsw.base";
inline constexpr std::string_view kAxisSection = "hnsw.axis";
inline constexpr std::string_view kCodesSection = "hnsw.codes";

/// A mark in Header::quant: codes lie along an axis.
inline constexpr std::uint32_t kAlongAxis = 1U << 16;

/// Another: there are many outposts (outposts.cc).
inline constexpr std::uint32_t kByRegions = 1U << 17;

inline constexpr std::uint32_t kStructureVersion = 6;
inline constexpr std::uint32_t kPackedCodesVersion = 6;
inline constexpr std::uint32_t kOldestStructureVersion = 2;

struct Header {
  std::uint32_t version;
  std::uint32_t m;
  std::uint32_t slot_end;  // one past the highest node, or level
  std::uint32_t entry_slot;
  std::uint32_t entry_level;
  std::uint32_t quant;  // an Element, and marks
};
static_assert(sizeof(Header) == 24);

}  // namespace engram::hnsw
