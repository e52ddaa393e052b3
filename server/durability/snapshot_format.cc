// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_format.h"

#include <algorithm>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "core/assert.h"
#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"

namespace engram {
namespace {

constexpr std::string_view kHeaderMagic = "ENGRAMSN";
constexpr std::string_view kFooterMagic = "ENGRAMTC";
constexpr std::size_t kEntryBytes = 64;
constexpr std::size_t kFooterBytes = 64;

/// An entry has the one checksum of its section.
constexpr std::uint32_t kVersionOfWholeChecksums = 1;

/// Whether the last four bytes are the checksum of those before.
bool is_intact(std::string_view block) {
  const std::string_view content = block.substr(0, block.size() - kChecksumBytes);
  return FieldReader(block.substr(content.size())).number<std::uint32_t>() == checksum_of(content);
}

void put_entry(std::string& out, const SnapshotEntry& entry) {
  put_number(out, entry.owner);
  out.append(entry.name).append(kSectionNameBytes - entry.name.size(), '\0');
  put_number(out, entry.offset);
  put_number(out, entry.length);
  put_number(out, std::uint64_t{0});
}

/// `version` says what the last 8 bytes are.
SnapshotEntry parse_entry(FieldReader& fields, std::uint32_t version) {
  SnapshotEntry entry;
  entry.owner = fields.number<std::uint64_t>();
  const std::string_view name = fields.take(kSectionNameBytes);
  entry.name = name.substr(0, name.find('\0'));
  entry.offset = fields.number<std::uint64_t>();
  entry.length = fields.number<std::uint64_t>();
  const auto checksum = fields.number<std::uint32_t>();
  fields.number<std::uint32_t>();
  if (version == kVersionOfWholeChecksums) entry.checksums = {checksum};
  return entry;
}

/// Returns the version.
Result<std::uint32_t> check_header(std::string_view page, StoreId& id) {
  if (!page.starts_with(kHeaderMagic)) {
    return fail(ErrorCode::kDataLoss, "is no snapshot of engram");
  }
  if (!is_intact(page)) return fail(ErrorCode::kDataLoss, "has a damaged header");
  FieldReader fields(page.substr(kHeaderMagic.size()));
  const auto version = fields.number<std::uint32_t>();
  fields.number<std::uint32_t>();
  const auto found = fields.number<StoreId>();
  if (version != kSnapshotVersion && version != kVersionOfWholeChecksums) {
    return fail(ErrorCode::kUnsupported, "has version " + std::to_string(version) +
                                             " of the snapshot's format, this build reads " +
                                             std::to_string(kSnapshotVersion));
  }
  if (id == StoreId{}) id = found;
  if (found != id) return fail(ErrorCode::kUnsupported, "belongs to another store");
  return version;
}

/// Sections follow each other without a gap, so that every byte of the file is under a checksum.
Status check_entries(const std::vector<SnapshotEntry>& entries, std::uint64_t table_offset) {
  std::uint64_t offset = kSnapshotPageBytes;
  std::set<std::pair<std::uint64_t, std::string_view>> names;
  for (const SnapshotEntry& entry : entries) {
    if (entry.offset != offset || entry.length > table_offset - offset ||
        padded(entry.length) > table_offset - offset) {
      return fail(ErrorCode::kDataLoss, "lists section '" + entry.name + "' where it cannot be");
    }
    if (!names.emplace(entry.owner, entry.name).second) {
      return fail(ErrorCode::kDataLoss, "lists section '" + entry.name + "' twice");
    }
    offset += padded(entry.length);
  }
  if (offset != table_offset) return fail(ErrorCode::kDataLoss, "lists less than it holds");
  return {};
}

std::uint64_t block_count(const SnapshotEntry& entry) {
  return (padded(entry.length) + kSnapshotBlockBytes - 1) / kSnapshotBlockBytes;
}

/// The checksums of all blocks follow the entries, whose lengths were checked.
Status take_checksums(FieldReader& fields, std::uint32_t version, SnapshotSummary& summary) {
  const std::size_t left = fields.rest().size();
  std::uint64_t blocks = 0;
  for (SnapshotEntry& entry : summary.entries) {
    if (version == kVersionOfWholeChecksums) {
      entry.block_bytes = padded(std::max<std::uint64_t>(entry.length, 1));
      continue;
    }
    const std::uint64_t count = block_count(entry);
    blocks += count;
    if (count > left / kChecksumBytes) break;
    entry.checksums.resize(count);
    for (std::uint32_t& checksum : entry.checksums) checksum = fields.number<std::uint32_t>();
  }
  if (!fields.ok() || blocks * kChecksumBytes != left) {
    return fail(ErrorCode::kDataLoss, "does not list one checksum for each block");
  }
  return {};
}

Result<SnapshotSummary> parse_table(std::string_view table, std::uint64_t count,
                                    std::uint64_t table_offset, std::uint32_t version,
                                    SnapshotSummary summary) {
  FieldReader fields(table);
  for (std::uint64_t i = 0; i < count; ++i) summary.entries.push_back(parse_entry(fields, version));
  ENGRAM_TRY(check_entries(summary.entries, table_offset));
  ENGRAM_TRY(take_checksums(fields, version, summary));
  return summary;
}

Result<std::string> read_text(const ReadableFile& file, std::uint64_t offset, std::size_t bytes) {
  std::string text(bytes, '\0');
  ENGRAM_TRY(file.read(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

/// The messages follow the file's name, except those of reading.
Result<SnapshotSummary> read_parts(const ReadableFile& file, StoreId& id, HeaderCheck check) {
  if (file.size() < kSnapshotPageBytes + kFooterBytes) {
    return fail(ErrorCode::kDataLoss, "is too short for a snapshot");
  }
  const auto header = read_text(file, 0, kSnapshotPageBytes);
  if (!header) return tl::unexpected(header.error());
  const auto version = check_header(*header, id);
  const bool is_passed_over =
      !version && version.error().code == ErrorCode::kDataLoss && check == HeaderCheck::kPassOver;
  if (!version && !is_passed_over) return tl::unexpected(version.error());

  const std::uint64_t table_end = file.size() - kFooterBytes;
  const auto footer = read_text(file, table_end, kFooterBytes);
  if (!footer) return tl::unexpected(footer.error());
  FieldReader fields(*footer);
  if (fields.take(kFooterMagic.size()) != kFooterMagic || !is_intact(*footer)) {
    return fail(ErrorCode::kDataLoss, "has a damaged footer");
  }
  const auto table_offset = fields.number<std::uint64_t>();
  const auto count = fields.number<std::uint64_t>();
  SnapshotSummary summary{fields.number<Lsn>(), fields.number<std::int64_t>(), {}};
  if (summary.replay_from == 0) return fail(ErrorCode::kDataLoss, "names no frame of the journal");
  const auto footer_id = fields.number<StoreId>();
  if (is_passed_over && id == StoreId{}) id = footer_id;
  if (footer_id != id) {
    return fail(ErrorCode::kDataLoss, "has a footer of another store");
  }
  if (table_offset < kSnapshotPageBytes || table_offset > table_end ||
      table_offset % kSnapshotPageBytes != 0 || count > (table_end - table_offset) / kEntryBytes) {
    return fail(ErrorCode::kDataLoss, "has its table of contents where it cannot be");
  }
  const auto table = read_text(file, table_offset, table_end - table_offset);
  if (!table) return tl::unexpected(table.error());
  if (fields.number<std::uint32_t>() != checksum_of(*table)) {
    return fail(ErrorCode::kDataLoss, "has a damaged table of contents");
  }
  if (version) return parse_table(*table, count, table_offset, *version, std::move(summary));
  auto parsed = parse_table(*table, count, table_offset, kSnapshotVersion, summary);
  if (parsed) return parsed;
  return parse_table(*table, count, table_offset, kVersionOfWholeChecksums, std::move(summary));
}

}  // namespace

std::string encode_snapshot_header(const StoreId& id) {
  std::string page(kHeaderMagic);
  put_number(page, kSnapshotVersion);
  put_number(page, std::uint32_t{0});
  page.append(as_text(id));
  page.resize(kSnapshotPageBytes - kChecksumBytes);
  put_number(page, checksum_of(page));
  return page;
}

std::string encode_snapshot_end(const StoreId& id, const SnapshotSummary& summary,
                                std::uint64_t offset) {
  std::string end;
  for (const SnapshotEntry& entry : summary.entries) put_entry(end, entry);
  for (const SnapshotEntry& entry : summary.entries) {
    for (const std::uint32_t checksum : entry.checksums) put_number(end, checksum);
  }
  const std::uint32_t table_checksum = checksum_of(end);
  const std::size_t footer = end.size();
  end.append(kFooterMagic);
  put_number(end, offset);
  put_number(end, std::uint64_t{summary.entries.size()});
  put_number(end, summary.replay_from);
  put_number(end, summary.begun_ms);
  end.append(as_text(id));
  put_number(end, table_checksum);
  put_number(end, checksum_of(std::string_view(end).substr(footer)));
  ENGRAM_ASSERT(end.size() == footer + kFooterBytes);
  return end;
}

Result<SnapshotSummary> read_summary(const ReadableFile& file, StoreId& id, HeaderCheck header) {
  auto summary = read_parts(file, id, header);
  if (summary || summary.error().code == ErrorCode::kIo) return summary;
  return fail(summary.error().code, file.path() + " " + summary.error().message);
}

void BlockChecksums::add(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (checksums_.empty() || filled_ == kSnapshotBlockBytes) {
      checksums_.push_back(0);
      filled_ = 0;
    }
    const auto piece = bytes.first(std::min(bytes.size(), kSnapshotBlockBytes - filled_));
    checksums_.back() = crc32c(piece, checksums_.back());
    filled_ += piece.size();
    bytes = bytes.subspan(piece.size());
  }
}

}  // namespace engram
