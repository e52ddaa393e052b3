// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_format.h"

#include <set>
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
  put_number(out, entry.checksum);
  put_number(out, std::uint32_t{0});
}

SnapshotEntry parse_entry(FieldReader& fields) {
  SnapshotEntry entry;
  entry.owner = fields.number<std::uint64_t>();
  const std::string_view name = fields.take(kSectionNameBytes);
  entry.name = name.substr(0, name.find('\0'));
  entry.offset = fields.number<std::uint64_t>();
  entry.length = fields.number<std::uint64_t>();
  entry.checksum = fields.number<std::uint32_t>();
  fields.number<std::uint32_t>();
  return entry;
}

Status check_header(std::string_view page, StoreId& id) {
  if (!page.starts_with(kHeaderMagic)) {
    return fail(ErrorCode::kDataLoss, "is no snapshot of engram");
  }
  if (!is_intact(page)) return fail(ErrorCode::kDataLoss, "has a damaged header");
  FieldReader fields(page.substr(kHeaderMagic.size()));
  const auto version = fields.number<std::uint32_t>();
  fields.number<std::uint32_t>();
  const auto found = fields.number<StoreId>();
  if (version != kSnapshotVersion) {
    return fail(ErrorCode::kUnsupported, "has version " + std::to_string(version) +
                                             " of the snapshot's format, this build reads " +
                                             std::to_string(kSnapshotVersion));
  }
  if (id == StoreId{}) id = found;
  if (found != id) return fail(ErrorCode::kUnsupported, "belongs to another store");
  return {};
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

Result<SnapshotSummary> parse_snapshot(std::string_view file, StoreId& id) {
  if (file.size() < kSnapshotPageBytes + kFooterBytes) {
    return fail(ErrorCode::kDataLoss, "is too short for a snapshot");
  }
  ENGRAM_TRY(check_header(file.substr(0, kSnapshotPageBytes), id));

  const std::string_view footer = file.substr(file.size() - kFooterBytes);
  FieldReader fields(footer);
  if (fields.take(kFooterMagic.size()) != kFooterMagic || !is_intact(footer)) {
    return fail(ErrorCode::kDataLoss, "has a damaged footer");
  }
  const auto table_offset = fields.number<std::uint64_t>();
  const auto count = fields.number<std::uint64_t>();
  SnapshotSummary summary{fields.number<Lsn>(), fields.number<std::int64_t>(), {}};
  if (summary.replay_from == 0) return fail(ErrorCode::kDataLoss, "names no frame of the journal");
  if (fields.number<StoreId>() != id) {
    return fail(ErrorCode::kDataLoss, "has a footer of another store");
  }
  const std::uint64_t table_end = file.size() - kFooterBytes;
  if (table_offset < kSnapshotPageBytes || table_offset > table_end ||
      table_offset % kSnapshotPageBytes != 0 || count != (table_end - table_offset) / kEntryBytes ||
      (table_end - table_offset) % kEntryBytes != 0) {
    return fail(ErrorCode::kDataLoss, "has its table of contents where it cannot be");
  }
  const std::string_view table = file.substr(table_offset, table_end - table_offset);
  if (fields.number<std::uint32_t>() != checksum_of(table)) {
    return fail(ErrorCode::kDataLoss, "has a damaged table of contents");
  }
  FieldReader entries(table);
  for (std::uint64_t i = 0; i < count; ++i) summary.entries.push_back(parse_entry(entries));
  ENGRAM_TRY(check_entries(summary.entries, table_offset));
  return summary;
}

}  // namespace engram
