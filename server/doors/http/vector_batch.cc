// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/vector_batch.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

namespace engram {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "EGVB";
constexpr std::size_t kHeaderBytes = 16;
constexpr std::size_t kNumberBytes = sizeof(std::uint32_t);
constexpr std::uint16_t kVersionOfBatch = 1;
constexpr std::uint16_t kWithMetadata = 1;
constexpr std::uint32_t kKept = std::numeric_limits<std::uint32_t>::max();

tl::unexpected<Error> no_batch(const std::string& why) {
  return fail(ErrorCode::kInvalidArgument, "the body is no batch of vectors: " + why);
}

std::string_view take(std::string_view& bytes, std::size_t size) {
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

/// From bytes that are known to have it.
template <class Number>
Number take_number(std::string_view& bytes) {
  Number number;
  std::memcpy(&number, take(bytes, sizeof number).data(), sizeof number);
  return number;
}

/// The bytes that lengths stand for.
std::uint64_t sum_of(std::string_view lengths) {
  std::uint64_t sum = 0;
  while (!lengths.empty()) {
    const auto length = take_number<std::uint32_t>(lengths);
    if (length != kKept) sum += length;
  }
  return sum;
}

}  // namespace

Result<VectorBatch> VectorBatch::read(std::string_view bytes) {
  const std::size_t given = bytes.size();
  if (given < kHeaderBytes || !bytes.starts_with(kMagic)) {
    return no_batch("it must begin with EGVB and a header of 16 bytes");
  }
  std::string_view header = take(bytes, kHeaderBytes).substr(kMagic.size());
  const auto version = take_number<std::uint16_t>(header);
  const auto flags = take_number<std::uint16_t>(header);
  if (version != kVersionOfBatch || flags > kWithMetadata) {
    return no_batch("version " + std::to_string(version) + " with flags " + std::to_string(flags) +
                    " is not known, only version 1 with flags 0 or 1");
  }
  VectorBatch batch;
  batch.size_ = take_number<std::uint32_t>(header);
  batch.dim_ = take_number<std::uint32_t>(header);
  if (batch.size_ == 0 || batch.dim_ == 0) return no_batch("count and dim must be at least 1");
  // Each is below 2^32, so that no product or sum of the following overflows.
  const bool with_metadata = flags == kWithMetadata;
  const std::uint64_t lengths = std::uint64_t{batch.size_} * kNumberBytes;
  const std::uint64_t fixed =
      std::uint64_t{batch.dim_} * sizeof(float) + (with_metadata ? 2 * kNumberBytes : kNumberBytes);
  if (bytes.size() / fixed < batch.size_) {
    return no_batch("it has " + std::to_string(given) + " bytes, too few for " +
                    std::to_string(batch.size_) + " vectors of " + std::to_string(batch.dim_) +
                    " dimensions");
  }
  batch.id_lengths_ = take(bytes, lengths);
  if (with_metadata) batch.metadata_lengths_ = take(bytes, lengths);
  batch.vectors_ = take(bytes, lengths * batch.dim_);
  const std::uint64_t ids = sum_of(batch.id_lengths_);
  const std::uint64_t metadata = sum_of(batch.metadata_lengths_);
  if (ids + metadata != bytes.size()) {
    return no_batch("its lengths add up to " + std::to_string(ids + metadata) +
                    " bytes of ids and metadata, and it has " + std::to_string(bytes.size()));
  }
  batch.ids_ = take(bytes, ids);
  batch.metadata_ = bytes;
  return batch;
}

VectorBatch::Item VectorBatch::next() {
  const auto id = take_number<std::uint32_t>(id_lengths_);
  Item item = {.id = take(ids_, id), .vector = take(vectors_, dim_ * sizeof(float))};
  if (metadata_lengths_.empty()) return item;
  const auto length = take_number<std::uint32_t>(metadata_lengths_);
  if (length != kKept) item.metadata = take(metadata_, length);
  return item;
}

}  // namespace engram
