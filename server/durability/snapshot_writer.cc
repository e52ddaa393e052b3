// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"
#include "server/durability/snapshot_file.h"

namespace engram {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{256} << 10;

/// Synced as it grows: on many file systems the journal's sync would otherwise wait for all of it.
constexpr std::uint64_t kSyncEvery = std::uint64_t{16} << 20;

}  // namespace

Result<std::unique_ptr<SnapshotWriter>> SnapshotWriter::create(const StoreFiles& files) {
  auto file = files.disk().create(files.unfinished_snapshot_path());
  if (!file) return tl::unexpected(std::move(file.error()));
  std::unique_ptr<SnapshotWriter> writer(new SnapshotWriter(files, std::move(*file)));
  ENGRAM_TRY(writer->file_->append(as_span(encode_snapshot_header(files.id()))));
  return writer;
}

SnapshotWriter::SnapshotWriter(const StoreFiles& files, std::unique_ptr<WritableFile> file)
    : files_(files), file_(std::move(file)) {}

SnapshotWriter::~SnapshotWriter() {
  if (file_ == nullptr) return;
  file_.reset();
  // Left behind, it is removed at the next start.
  [[maybe_unused]] const Status removed = files_.disk().remove(files_.unfinished_snapshot_path());
}

void SnapshotWriter::set_owner(SectionOwner owner) {
  owner_ = owner;
}

Status SnapshotWriter::begin(std::string_view name) {
  if (name.empty() || name.size() > kSectionNameBytes || name.find('\0') != name.npos) {
    return fail(ErrorCode::kInvalidArgument,
                "a section has a name of 1 to 32 bytes, not '" + std::string(name) + "'");
  }
  // One owner's sections follow each other.
  for (auto entry = entries_.rbegin(); entry != entries_.rend() && entry->owner == owner_;
       ++entry) {
    if (entry->name == name) {
      return fail(ErrorCode::kInvalidArgument, "section '" + std::string(name) + "' exists");
    }
  }
  ENGRAM_TRY(end_section());
  entries_.push_back({owner_, std::string(name), file_->size(), 0, {}});
  in_section_ = true;
  return {};
}

Status SnapshotWriter::append(std::span<const std::byte> bytes) {
  if (!in_section_) return fail(ErrorCode::kInvalidArgument, "no section was begun");
  entries_.back().length += bytes.size();
  if (buffer_.size() + bytes.size() <= kBufferBytes) {
    buffer_.append(as_text(bytes));
    return {};
  }
  ENGRAM_TRY(flush());
  if (bytes.size() > kBufferBytes) return write_out(bytes);
  buffer_.append(as_text(bytes));
  return {};
}

Status SnapshotWriter::end_section() {
  if (!in_section_) return {};
  const std::uint64_t length = entries_.back().length;
  buffer_.append(padded(length) - length, '\0');
  ENGRAM_TRY(flush());
  entries_.back().checksums = checksums_.take();
  in_section_ = false;
  return {};
}

Status SnapshotWriter::flush() {
  ENGRAM_TRY(write_out(as_span(buffer_)));
  buffer_.clear();
  return {};
}

Status SnapshotWriter::write_out(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), kSyncEvery));
    checksums_.add(piece);
    ENGRAM_TRY(file_->append(piece));
    bytes = bytes.subspan(piece.size());
    if (file_->size() - synced_bytes_ >= kSyncEvery) {
      ENGRAM_TRY(file_->sync());
      synced_bytes_ = file_->size();
    }
  }
  return {};
}

Result<std::uint64_t> SnapshotWriter::publish(Lsn replay_from, std::int64_t begun_ms) {
  ENGRAM_TRY(end_section());
  const std::string end =
      encode_snapshot_end(files_.id(), {replay_from, begun_ms, std::move(entries_)}, file_->size());
  ENGRAM_TRY(file_->append(as_span(end)));
  ENGRAM_TRY(file_->sync());
  const std::uint64_t bytes = file_->size();
  FileSystem& disk = files_.disk();
  ENGRAM_TRY(disk.rename(files_.unfinished_snapshot_path(), files_.snapshot_path()));
  file_.reset();
  ENGRAM_TRY(disk.sync_directory(files_.directory()));
  return bytes;
}

}  // namespace engram
