// SPDX-License-Identifier: Apache-2.0
// The headers of segments and frames, as FORMAT.md lays them out: what the journal writes and its
// reader checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

inline constexpr std::uint32_t kJournalVersion = 2;
inline constexpr std::size_t kSegmentHeaderBytes = 48;
inline constexpr std::size_t kFrameHeaderBytes = 32;
inline constexpr std::string_view kFrameMagic = "FRME";
inline constexpr std::size_t kFrameMagicOffset = 24;

/// What a disk writes whole or not at all.
inline constexpr std::size_t kSectorBytes = 512;

std::string encode_segment_header(const StoreId& id, Lsn first);

/// Checks that `bytes` begin with the header of the segment whose first frame is `first`. `id` is
/// the store's; all zero: it is taken from the header. Errors: kDataLoss, or kUnsupported for
/// another store or a newer version; the message follows the file's name.
Status check_segment_header(std::string_view bytes, StoreId& id, Lsn first);

struct FrameHeader {
  std::uint32_t body_bytes;
  std::uint32_t body_checksum;
  Lsn lsn;
  Lsn known_durable;  ///< an LSN that was on disk when the frame was made
};

/// Fills in the header of a frame: `frame` has room for it at its start, and the body behind it.
void complete_frame(std::string& frame, Lsn lsn, Lsn known_durable);

/// Reads the header at the front of `bytes`; false if there is none, or it is not intact.
bool parse_frame_header(std::string_view bytes, FrameHeader& header);

/// As many whole frames as lie in the first `most_bytes` of `frames`, which are known to be good.
struct FrameRun {
  std::size_t bytes = 0;
  std::uint64_t count = 0;
};
FrameRun whole_frames(std::string_view frames, std::size_t most_bytes);

/// The length of the frame at the front of `frames`, which are known to be good.
std::size_t first_frame_bytes(std::string_view frames);

}  // namespace engram
