// SPDX-License-Identifier: Apache-2.0
#include "server/durability/synced_mark.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

constexpr std::string_view kMagic = "ENGRAMSY";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kBytes = 40;

}  // namespace

Status write_synced_mark(const StoreFiles& files, Lsn lsn) {
  std::string note(kMagic);
  put_number(note, kVersion);
  note.append(as_text(files.id()));
  put_number(note, lsn);
  put_number(note, checksum_of(note));
  FileSystem& disk = files.disk();
  const auto file = disk.create(files.unfinished_synced_path());
  if (!file) return tl::unexpected(file.error());
  ENGRAM_TRY((*file)->append(as_span(note)));
  return disk.rename(files.unfinished_synced_path(), files.synced_path());
}

Result<SyncedMark> read_synced_mark(const StoreFiles& files) {
  const auto file = files.disk().open_for_reading(files.synced_path());
  if (!file && file.error().code == ErrorCode::kNotFound) return SyncedMark{};
  if (!file) return tl::unexpected(file.error());
  const auto content = FileContent::read(**file);
  if (!content) return tl::unexpected(content.error());
  const std::string_view note = as_text(content->bytes());
  FieldReader fields(note);
  const std::string_view magic = fields.take(kMagic.size());
  const auto version = fields.number<std::uint32_t>();
  SyncedMark mark;
  mark.store = fields.number<StoreId>();
  mark.lsn = fields.number<Lsn>();
  const auto checksum = fields.number<std::uint32_t>();
  const bool is_sound = fields.ok() && note.size() == kBytes && magic == kMagic &&
                        version == kVersion &&
                        checksum == checksum_of(note.substr(0, kBytes - kChecksumBytes));
  return is_sound ? mark : SyncedMark{};
}

}  // namespace engram
