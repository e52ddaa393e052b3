// SPDX-License-Identifier: Apache-2.0
#include "server/durability/segment_scan.h"

#include <algorithm>
#include <optional>

#include "server/durability/checksum.h"
#include "server/durability/journal_format.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

using Kind = SegmentEnd::Kind;

/// What lies behind bytes that cannot be read.
struct Beyond {
  std::optional<std::size_t> next_header;  // of a frame with a greater LSN
  bool was_on_disk = false;  // one of those frames says that the frame sought was on disk
};

Beyond look_beyond(std::string_view segment, std::size_t offset, Lsn sought) {
  Beyond beyond;
  const std::size_t magic_offset = kFrameMagicOffset;
  for (std::size_t at = segment.find(kFrameMagic, offset + magic_offset); at != segment.npos;
       at = segment.find(kFrameMagic, at + 1)) {
    FrameHeader header;
    const std::size_t start = at - magic_offset;
    if (!parse_frame_header(segment.substr(start), header) || header.lsn <= sought) continue;
    if (!beyond.next_header) beyond.next_header = start;
    if (header.known_durable >= sought) {
      beyond.was_on_disk = true;
      break;
    }
  }
  return beyond;
}

/// Whether one of the sectors that lie in [begin, end) is zero, from `begin` to the file's end at
/// the most: it never reached the disk, as neither bit rot nor a stray write makes it look.
bool has_blank_sector(std::string_view segment, std::size_t begin, std::size_t end) {
  for (std::size_t at = begin; at < end;) {
    const std::size_t next = (at / kSectorBytes + 1) * kSectorBytes;
    const std::string_view sector = segment.substr(at, next - at);
    if (sector.find_first_not_of('\0') == sector.npos) return true;
    at = next;
  }
  return false;
}

/// One pass over the frames of a segment.
class Scan {
 public:
  Scan(std::string_view segment, Lsn first, bool newest)
      : segment_(segment), newest_(newest), next_(first) {}

  Result<SegmentEnd> run(const SyncedMark& mark, StoreId& id, const FrameVisitor& visit) {
    Status header = check_segment_header(segment_, id, next_);
    synced_ = mark.of(id);
    if (!header) {
      if (header.error().code != ErrorCode::kDataLoss) return tl::unexpected(header.error());
      // It was synced before the first frame was written.
      const bool torn =
          segment_.size() < kSegmentHeaderBytes ||
          (segment_.size() == kSegmentHeaderBytes && has_blank_sector(segment_, 0, 1));
      return ends(torn, std::move(header.error().message));
    }
    offset_ = kSegmentHeaderBytes;
    while (offset_ < segment_.size()) {
      if (auto end = read_frame(visit)) return *std::move(end);
    }
    return SegmentEnd{Kind::kWhole, next_, offset_, {}};
  }

 private:
  using End = std::optional<Result<SegmentEnd>>;

  End read_frame(const FrameVisitor& visit) {
    const std::size_t left = segment_.size() - offset_;
    FrameHeader header;
    if (!parse_frame_header(segment_.substr(offset_), header)) {
      if (left < kFrameHeaderBytes) return ends(true, "ends inside the header of a frame");
      return judge(offset_ + 1, std::nullopt, "has no intact header of a frame");
    }
    if (header.body_bytes > left - kFrameHeaderBytes) return ends(true, "ends inside a frame");
    const std::string_view body = segment_.substr(offset_ + kFrameHeaderBytes, header.body_bytes);
    const std::size_t end = offset_ + kFrameHeaderBytes + body.size();
    if (crc32c(as_span(body)) != header.body_checksum) {
      return judge(end, end, "has a frame whose checksum is wrong");
    }
    if (header.lsn != next_) {
      return ends(false, "has a frame with the number " + std::to_string(header.lsn));
    }
    if (Status visited = visit(next_, body); !visited) {
      if (visited.error().code != ErrorCode::kDataLoss) return tl::unexpected(visited.error());
      return ends(false, "has a frame that makes no sense: " + visited.error().message);
    }
    offset_ = end;
    ++next_;
    return std::nullopt;
  }

  /// For a frame that lies whole in the file and cannot be read: it ends at `frame_end` if that is
  /// known; others may follow from `beyond` on.
  SegmentEnd judge(std::size_t beyond, std::optional<std::size_t> frame_end, std::string reason) {
    const Beyond found = look_beyond(segment_, beyond, next_);
    const std::size_t end = frame_end ? *frame_end : found.next_header.value_or(segment_.size());
    return ends(!found.was_on_disk && has_blank_sector(segment_, offset_, end), std::move(reason));
  }

  SegmentEnd ends(bool torn, std::string reason) const {
    if (torn && next_ <= synced_) {
      torn = false;
      reason += ", though it was on disk";
    }
    return {torn && newest_ ? Kind::kTorn : Kind::kDamaged, next_, offset_, std::move(reason)};
  }

  const std::string_view segment_;
  const bool newest_;
  Lsn synced_ = 0;
  Lsn next_;
  std::size_t offset_ = 0;
};

}  // namespace

Result<SegmentEnd> scan_segment(std::string_view bytes, Lsn first, bool newest,
                                const SyncedMark& mark, StoreId& id, const FrameVisitor& visit) {
  return Scan(bytes, first, newest).run(mark, id, visit);
}

}  // namespace engram
