// SPDX-License-Identifier: Apache-2.0
#include "core/slot_set_io.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little, "sections are little-endian");

constexpr std::size_t kBits = 64;

}  // namespace

Status save_slots(SectionWriter& writer, std::string_view name, const SlotSet& set) {
  std::vector<std::uint64_t> words;
  set.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    if (slot / kBits >= words.size()) words.resize(slot / kBits + 1, 0);
    words[slot / kBits] |= std::uint64_t{1} << (slot % kBits);
  });
  ENGRAM_TRY(writer.begin(name));
  return writer.append(std::as_bytes(std::span(words)));
}

Status load_slots(SectionReader& reader, std::string_view name, Slot slot_end, SlotSet& set) {
  const auto bytes = reader.section(name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (bytes->size() % sizeof(std::uint64_t) != 0) {
    return fail(ErrorCode::kDataLoss, "section '" + std::string(name) + "' has " +
                                          std::to_string(bytes->size()) +
                                          " bytes, a multiple of 8 was expected");
  }
  for (std::size_t word = 0; word < bytes->size() / sizeof(std::uint64_t); ++word) {
    std::uint64_t bits;
    std::memcpy(&bits, bytes->data() + word * sizeof bits, sizeof bits);
    for (; bits != 0; bits &= bits - 1) {
      const std::size_t slot = word * kBits + static_cast<std::size_t>(std::countr_zero(bits));
      if (slot >= slot_end) {
        return fail(ErrorCode::kDataLoss, "section '" + std::string(name) + "' lists slot " +
                                              std::to_string(slot) + ", the store has " +
                                              std::to_string(slot_end));
      }
      if (auto added = set.insert(static_cast<Slot>(slot)); !added) {
        return tl::unexpected(std::move(added.error()));
      }
    }
  }
  return {};
}

Status hold_items(const SlotSet& items, Slot slot_end, SlotSet& held) {
  if (items.end() > slot_end) {
    return fail(ErrorCode::kDataLoss, "slot " + std::to_string(items.end() - 1) +
                                          " is to be held, the store has " +
                                          std::to_string(slot_end));
  }
  return held.assign(items);
}

}  // namespace engram
