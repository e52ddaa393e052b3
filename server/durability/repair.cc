// SPDX-License-Identifier: Apache-2.0
#include "server/durability/repair.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

#include "server/durability/change.h"
#include "server/durability/journal_format.h"
#include "server/durability/segment_writer.h"

namespace engram {
namespace {

/// As many as a snapshot may well have seen being written; the number comes from a file.
constexpr Lsn kMostFilled = Lsn{1} << 24;

/// Ids begin with 1.
constexpr std::uint64_t kNoCollection = 0;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// A name for what is cut out of `path` that no file has yet.
Result<std::string> cut_path(const StoreFiles& files, const std::string& path) {
  const auto names = files.disk().list(files.directory());
  if (!names) return tl::unexpected(names.error());
  std::string name = file_name(path) + ".cut";
  for (int i = 2; std::binary_search(names->begin(), names->end(), name); ++i) {
    name = file_name(path) + "." + std::to_string(i) + ".cut";
  }
  return files.path_of(name);
}

Status move_aside(const StoreFiles& files, const std::string& path,
                  std::vector<std::string>& lines) {
  const auto cut = cut_path(files, path);
  if (!cut) return tl::unexpected(cut.error());
  ENGRAM_TRY(files.disk().rename(path, *cut));
  lines.push_back("moved " + file_name(path) + " to " + file_name(*cut));
  return {};
}

Status copy_tail(const StoreFiles& files, const std::string& path, std::uint64_t offset,
                 std::vector<std::string>& lines) {
  const auto cut = cut_path(files, path);
  if (!cut) return tl::unexpected(cut.error());
  const auto source = files.disk().open_for_reading(path);
  if (!source) return tl::unexpected(source.error());
  const auto content = FileContent::read(**source);
  if (!content) return tl::unexpected(content.error());
  const auto tail = content->bytes().subspan(offset);
  const auto copy = files.disk().create(*cut);
  if (!copy) return tl::unexpected(copy.error());
  ENGRAM_TRY((*copy)->append(tail));
  ENGRAM_TRY((*copy)->sync());
  lines.push_back("moved the last " + std::to_string(tail.size()) + " bytes of " + file_name(path) +
                  " to " + file_name(*cut));
  return {};
}

Status copy_file(FileSystem& disk, const std::string& from, const std::string& to) {
  constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20;
  const auto source = disk.open_for_reading(from);
  if (!source) return tl::unexpected(source.error());
  const auto copy = disk.create(to);
  if (!copy) return tl::unexpected(copy.error());
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0; at < (*source)->size(); at += piece.size()) {
    piece.resize(std::min(kPieceBytes, (*source)->size() - at));
    ENGRAM_TRY((*source)->read(at, piece));
    ENGRAM_TRY((*copy)->append(piece));
  }
  return (*copy)->sync();
}

Status truncate(const StoreFiles& files, const std::string& path, std::uint64_t size) {
  const auto file = files.disk().open_for_append(path);
  if (!file) return tl::unexpected(file.error());
  ENGRAM_TRY((*file)->truncate(size));
  return (*file)->sync();
}

}  // namespace

std::string how_many(std::uint64_t number, const std::string& thing) {
  return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

Status cut_journal(const StoreFiles& files, const JournalFindings& findings,
                   std::vector<std::string>& lines) {
  const JournalBreak& broken = *findings.broken;
  const std::string path = files.segment_path(findings.segments[broken.segment].first);
  const std::size_t first_whole_cut = broken.segment + (broken.offset == 0 ? 0 : 1);
  if (broken.offset != 0) ENGRAM_TRY(copy_tail(files, path, broken.offset, lines));
  // The newest first: until the last step the damage stays in the middle, where a server refuses
  // it. At the end of the journal it might take it for a torn tail.
  for (std::size_t i = findings.segments.size(); i-- > first_whole_cut;) {
    ENGRAM_TRY(move_aside(files, files.segment_path(findings.segments[i].first), lines));
  }
  ENGRAM_TRY(files.disk().sync_directory(files.directory()));
  return broken.offset == 0 ? Status{} : truncate(files, path, broken.offset);
}

Status cut_snapshot(const StoreFiles& files, std::string_view name,
                    std::vector<std::string>& lines) {
  ENGRAM_TRY(move_aside(files, files.path_of(name), lines));
  return files.disk().sync_directory(files.directory());
}

Status cut_synced_mark(const StoreFiles& files, std::vector<std::string>& lines) {
  ENGRAM_TRY(move_aside(files, files.synced_path(), lines));
  return files.disk().sync_directory(files.directory());
}

Status copy_snapshot_aside(const StoreFiles& files, std::vector<std::string>& lines) {
  const std::string path = files.snapshot_path();
  const auto cut = cut_path(files, path);
  if (!cut) return tl::unexpected(cut.error());
  FileSystem& disk = files.disk();
  Status kept = disk.link(path, *cut);
  if (!kept && kept.error().code == ErrorCode::kUnsupported) kept = copy_file(disk, path, *cut);
  ENGRAM_TRY(kept);
  lines.push_back("kept the damaged snapshot as " + file_name(*cut));
  return disk.sync_directory(files.directory());
}

Status complete_journal(StoreFiles& files, Lsn next, Lsn needed, std::vector<std::string>& lines) {
  const auto segments = files.segments();
  if (!segments) return tl::unexpected(segments.error());
  const bool is_short = next <= needed;
  if (!is_short && (!segments->empty() || next == 1)) return {};
  if (is_short && needed - next >= kMostFilled) {
    lines.emplace_back("not repaired: too many frames are lost; a backup is needed");
    return {};
  }
  SegmentWriter writer(files, next, std::numeric_limits<std::uint64_t>::max());
  ENGRAM_TRY(writer.start());
  if (!is_short) {
    lines.push_back("began an empty journal with frame " + std::to_string(next));
    return {};
  }
  std::string filling;
  for (Lsn lsn = next; lsn <= needed; ++lsn) {
    std::string frame(kFrameHeaderBytes, '\0');
    encode(EraseVector{.id = kNoCollection, .key = {}}, frame);
    complete_frame(frame, lsn, next - 1);
    filling += frame;
  }
  std::string_view left = filling;
  ENGRAM_TRY(writer.append(left));
  ENGRAM_TRY(writer.sync());
  lines.push_back("wrote frames that change nothing in the place of " +
                  std::to_string(needed - next + 1) + " lost ones, from frame " +
                  std::to_string(next) + " on: the store has whatever the snapshot saw of them");
  return {};
}

}  // namespace engram
