// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal_check.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/durability/change.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

Status decode_all(Lsn, std::string_view changes) {
  while (!changes.empty()) ENGRAM_TRY(decode(changes));
  return {};
}

/// The last frame that is lost if none from `segment` on can be replayed.
std::optional<Lsn> last_lost(const std::vector<SegmentFindings>& segments, Lsn lost_from) {
  const SegmentEnd& end = segments.back().end;
  if (end.kind == SegmentEnd::Kind::kDamaged || end.next <= lost_from) return std::nullopt;
  return end.next - 1;
}

std::optional<JournalBreak> find_break(const std::vector<SegmentFindings>& segments, Lsn from) {
  Lsn expected = from;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const SegmentFindings& segment = segments[i];
    if (!segment.needed) continue;
    const bool meets = segment.first == expected || (segment.first < from && expected == from);
    if (meets) expected = segment.end.next;
    if (meets && segment.end.kind == SegmentEnd::Kind::kWhole) continue;
    const Lsn lost_from = std::max(expected, from);
    return JournalBreak{i, meets ? segment.end.offset : 0, lost_from,
                        last_lost(segments, lost_from),
                        segment.end.kind == SegmentEnd::Kind::kTorn && meets};
  }
  return std::nullopt;
}

}  // namespace

Result<JournalFindings> examine_journal(const StoreFiles& files, StoreId& id, Lsn from) {
  const auto mark = read_synced_mark(files);
  if (!mark) return tl::unexpected(mark.error());
  const auto firsts = files.segments();
  if (!firsts) return tl::unexpected(firsts.error());
  JournalFindings findings;
  for (std::size_t i = 0; i < firsts->size(); ++i) {
    const Lsn first = (*firsts)[i];
    const bool newest = i + 1 == firsts->size();
    const auto file = files.disk().open_for_reading(files.segment_path(first));
    if (!file) return tl::unexpected(file.error());
    const auto content = FileContent::read(**file);
    if (!content) return tl::unexpected(content.error());
    const std::string_view bytes = as_text(content->bytes());
    auto end = scan_segment(bytes, first, newest, *mark, id, decode_all);
    if (!end) {
      return fail(end.error().code, files.segment_path(first) + " " + end.error().message);
    }
    const bool needed = newest || (*firsts)[i + 1] > from;
    findings.segments.push_back({first, bytes.size(), needed, *std::move(end)});
  }
  findings.broken = find_break(findings.segments, from);
  findings.synced = mark->of(id);
  return findings;
}

}  // namespace engram
