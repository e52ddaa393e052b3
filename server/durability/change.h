// SPDX-License-Identifier: Apache-2.0
// The changes that journal and snapshot consist of; FORMAT.md says what they mean.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.h"
#include "core/slot.h"
#include "core/trace.h"

namespace engram {

/// An expiry that never comes.
inline constexpr std::int64_t kNeverExpires = -1;

// Text is borrowed: of the caller when encoding, of the buffer when decoding.

struct SetString {
  std::string_view key;
  std::int64_t expires_ms;
  std::string_view value;
};
struct AppendString {
  std::string_view key;
  std::uint64_t offset;
  std::string_view suffix;
};
struct EraseKey {
  std::string_view key;
};
struct SetExpiry {
  std::string_view key;
  std::int64_t expires_ms;
};
struct ClearKeys {};
struct NewCollection {
  std::string_view key;
  std::int64_t expires_ms;
  std::uint64_t id;
  std::uint32_t dim;
  std::string_view metric;
  std::string_view primitive;
  /// The primitive's; kDecayOption if strengths are kept; kMeasureOption if recall is measured;
  /// kAutoOption and kProjectionOption of a vector set; kRowsOption if rows are on the disk.
  std::vector<std::pair<std::string_view, std::string_view>> options;
};
/// Its value is that of decay_text().
inline constexpr std::string_view kDecayOption = "DECAY";
/// The collection goes with its last item; its value says nothing.
inline constexpr std::string_view kAutoOption = "AUTO";
/// Its value is that of Projection::text().
inline constexpr std::string_view kProjectionOption = "REDUCE";
/// Its value is a number above 0, at most 1.
inline constexpr std::string_view kMeasureOption = "MEASURE";
/// Its value is this.
inline constexpr std::string_view kRowsOption = "ROWS";
inline constexpr std::string_view kRowsOnDisk = "disk";

struct PutVector {
  std::uint64_t id;
  Slot slot;  ///< where it lies, any number when decoded
  std::string_view key;
  std::string_view vector;  ///< packed little-endian float32
};
struct EraseVector {
  std::uint64_t id;
  std::string_view key;
};

struct TuneIndex {
  std::uint64_t id;
  std::vector<std::pair<std::string_view, double>> numbers;  ///< any doubles, when decoded
};
struct OverwriteString {
  std::string_view key;
  std::uint64_t offset;
  std::string_view bytes;
};
struct MoveCollection {
  std::string_view key;
  std::int64_t expires_ms;
  std::uint64_t id;
};

struct SetStrength {
  std::uint64_t id;
  std::string_view key;
  std::int64_t ms;  ///< of the write that made it so; any number, when decoded
  Trace trace;      ///< any, when decoded
};

/// Follows a put in its frame, or stands by itself; a put alone leaves its key with none.
struct SetAttributes {
  std::uint64_t id;
  std::string_view key;
  std::string_view text;  ///< a JSON object, or empty for none; any bytes, when decoded
};

using Change = std::variant<SetString, AppendString, EraseKey, SetExpiry, ClearKeys, NewCollection,
                            PutVector, EraseVector, TuneIndex, OverwriteString, MoveCollection,
                            SetStrength, SetAttributes>;

static_assert(std::endian::native == std::endian::little,
              "vectors are stored, and travel, as little-endian float32");

/// The bytes of a vector, as changes and clients carry them.
inline std::string_view packed(std::span<const float> vector) noexcept {
  return {reinterpret_cast<const char*>(vector.data()), vector.size_bytes()};
}

/// What the stored form of a change takes at most beside its texts, options and numbers.
inline constexpr std::size_t kChangeFraming = 192;

/// Appends the change in its stored form to `out`. Keys and values have less than 4 GiB.
void encode(const Change& change, std::string& out);

/// Takes one change off the front of `bytes`. Errors: kDataLoss. Any bytes are safe to give.
Result<Change> decode(std::string_view& bytes);

}  // namespace engram
