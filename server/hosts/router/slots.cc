// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/slots.h"

#include <array>

#include "server/runtime/sip_hash.h"

namespace engram::router {
namespace {

constexpr std::array<std::uint16_t, 256> make_crc_table() {
  constexpr unsigned kPolynomial = 0x1021;
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < table.size(); ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000U) != 0 ? kPolynomial : 0);
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}

constexpr auto kCrcTable = make_crc_table();

std::string with_tag(std::string_view index, std::string_view tag) {
  return std::string(index).append(":{").append(tag).append("}");
}

}  // namespace

std::uint16_t crc16(std::string_view bytes) noexcept {
  std::uint16_t crc = 0;
  for (const char byte : bytes) {
    const unsigned index = (crc >> 8) ^ static_cast<unsigned char>(byte);
    crc = static_cast<std::uint16_t>((crc << 8) ^ kCrcTable[index]);
  }
  return crc;
}

std::uint16_t slot_of(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close != open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return crc16(key) % kSlots;
}

std::string partition_tag(std::size_t partition, std::size_t partitions) {
  const std::string prefix = std::to_string(partition) + ".";
  const auto is_in_range = [&](std::size_t slot) {
    return slot * partitions / kSlots == partition;
  };
  for (std::size_t i = 0;; ++i) {
    std::string tag = prefix + std::to_string(i);
    if (is_in_range(slot_of(tag))) return tag;
  }
}

std::string partition_key(std::string_view index, std::string_view tag, std::uint64_t epoch) {
  return with_tag(index, tag).append(":").append(std::to_string(epoch));
}

std::string meta_key(std::string_view index) {
  return with_tag(index, index).append(":meta");
}

std::size_t partition_of(std::string_view key, std::size_t partitions) noexcept {
  return sip_hash(0, 0, key) % partitions;
}

}  // namespace engram::router
