// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal_format.h"

#include <limits>

#include "core/assert.h"
#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

constexpr std::string_view kSegmentMagic = "ENGRAMJL";

}  // namespace

std::string encode_segment_header(const StoreId& id, Lsn first) {
  std::string header(kSegmentMagic);
  put_number(header, kJournalVersion);
  put_number(header, std::uint32_t{0});
  header.append(as_text(id));
  put_number(header, first);
  put_number(header, std::uint32_t{0});
  put_number(header, checksum_of(header));
  ENGRAM_ASSERT(header.size() == kSegmentHeaderBytes);
  return header;
}

Status check_segment_header(std::string_view bytes, StoreId& id, Lsn first) {
  FieldReader fields(bytes.substr(0, kSegmentHeaderBytes));
  const std::string_view magic = fields.take(kSegmentMagic.size());
  const auto version = fields.number<std::uint32_t>();
  fields.number<std::uint32_t>();
  const StoreId found = fields.number<StoreId>();
  const Lsn stated = fields.number<Lsn>();
  fields.number<std::uint32_t>();
  const auto checksum = fields.number<std::uint32_t>();
  if (!fields.ok()) return fail(ErrorCode::kDataLoss, "ends inside its header");
  if (magic != kSegmentMagic) return fail(ErrorCode::kDataLoss, "is no journal of engram");
  if (checksum != checksum_of(bytes.substr(0, kSegmentHeaderBytes - kChecksumBytes))) {
    return fail(ErrorCode::kDataLoss, "has a damaged header");
  }
  if (version != kJournalVersion) {
    return fail(ErrorCode::kUnsupported, "has version " + std::to_string(version) +
                                             " of the journal's format, this build reads " +
                                             std::to_string(kJournalVersion));
  }
  if (id == StoreId{}) id = found;
  if (found != id) return fail(ErrorCode::kUnsupported, "belongs to another store");
  if (stated != first) {
    return fail(ErrorCode::kDataLoss,
                "begins with frame " + std::to_string(stated) + ", not with that of its name");
  }
  return {};
}

void complete_frame(std::string& frame, Lsn lsn, Lsn known_durable) {
  const std::size_t body_bytes = frame.size() - kFrameHeaderBytes;
  ENGRAM_ASSERT(body_bytes > 0 && body_bytes <= std::numeric_limits<std::uint32_t>::max());
  overwrite_number(frame, 0, static_cast<std::uint32_t>(body_bytes));
  overwrite_number(frame, 4, checksum_of(std::string_view(frame).substr(kFrameHeaderBytes)));
  overwrite_number(frame, 8, lsn);
  overwrite_number(frame, 16, known_durable);
  frame.replace(kFrameMagicOffset, kFrameMagic.size(), kFrameMagic);
  overwrite_number(frame, 28, checksum_of(std::string_view(frame).substr(0, 28)));
}

bool parse_frame_header(std::string_view bytes, FrameHeader& header) {
  FieldReader fields(bytes.substr(0, kFrameHeaderBytes));
  header.body_bytes = fields.number<std::uint32_t>();
  header.body_checksum = fields.number<std::uint32_t>();
  header.lsn = fields.number<Lsn>();
  header.known_durable = fields.number<Lsn>();
  const std::string_view magic = fields.take(kFrameMagic.size());
  const auto checksum = fields.number<std::uint32_t>();
  return fields.ok() && magic == kFrameMagic && header.body_bytes > 0 &&
         checksum == checksum_of(bytes.substr(0, kFrameHeaderBytes - kChecksumBytes));
}

FrameRun whole_frames(std::string_view frames, std::size_t most_bytes) {
  FrameRun run;
  const std::string_view within = frames.substr(0, most_bytes);
  while (within.size() - run.bytes >= kFrameHeaderBytes) {
    const std::size_t frame_bytes = first_frame_bytes(within.substr(run.bytes));
    if (frame_bytes > within.size() - run.bytes) break;
    run.bytes += frame_bytes;
    ++run.count;
  }
  return run;
}

std::size_t first_frame_bytes(std::string_view frames) {
  return kFrameHeaderBytes + FieldReader(frames).number<std::uint32_t>();
}

}  // namespace engram
