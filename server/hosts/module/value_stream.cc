// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/value_stream.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "core/reserved_memory.h"
#include "core/row.h"
#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"

namespace engram::host {
namespace {

constexpr std::string_view kMagic = "EGRM";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostCreationBytes = std::size_t{1} << 20;
constexpr std::size_t kPieceBytes = std::size_t{1} << 19;
constexpr std::size_t kMostSections = 64;

tl::unexpected<Error> damaged(std::string message) {
  return fail(ErrorCode::kDataLoss, std::move(message));
}

}  // namespace

ValueWriter::ValueWriter(std::string_view creation, TakeChunk take) : take_(std::move(take)) {
  chunk_.append(kMagic);
  put_number(chunk_, kVersion);
  put_string(chunk_, creation);
  put_number(chunk_, checksum_of(chunk_));
}

Status ValueWriter::begin(std::string_view name) {
  end_section();
  put_number(chunk_, static_cast<std::uint8_t>(name.size()));
  chunk_.append(name);
  checksum_ = checksum_of(name);
  is_in_section_ = true;
  return {};
}

Status ValueWriter::append(std::span<const std::byte> bytes) {
  checksum_ = crc32c(bytes, checksum_);
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min(bytes.size(), kPieceBytes));
    put_string(chunk_, as_text(piece));
    bytes = bytes.subspan(piece.size());
    give_full_chunk();
  }
  return {};
}

void ValueWriter::end() {
  end_section();
  put_number(chunk_, std::uint8_t{0});
  take_(chunk_);
  chunk_.clear();
}

void ValueWriter::end_section() {
  if (!std::exchange(is_in_section_, false)) return;
  put_number(chunk_, std::uint32_t{0});
  put_number(chunk_, checksum_);
}

void ValueWriter::give_full_chunk() {
  if (chunk_.size() < kChunkBytes) return;
  take_(chunk_);
  chunk_.clear();
}

Status ValueReader::add(std::string_view chunk) {
  pending_.erase(0, std::exchange(taken_, 0));
  pending_.append(chunk);
  bytes_ += chunk.size();
  while (!rest().empty()) {
    const auto has_taken = take_item();
    if (!has_taken) return tl::unexpected(has_taken.error());
    if (!*has_taken) return {};
  }
  return {};
}

Status ValueReader::finish() const {
  if (expects_ == Expects::kNothing) return {};
  return damaged("the value ends in the middle");
}

/// False: the rest of it has not come yet.
Result<bool> ValueReader::take_item() {
  switch (expects_) {
    case Expects::kHeader:
      return take_header();
    case Expects::kName:
      return take_name();
    case Expects::kPiece:
      return take_piece();
    case Expects::kNothing:
      break;
  }
  return damaged("there are bytes behind the value");
}

Result<bool> ValueReader::take_header() {
  FieldReader fields(rest());
  const std::string_view magic = fields.take(kMagic.size());
  const auto version = fields.number<std::uint8_t>();
  const auto length = FieldReader(fields).number<std::uint32_t>();
  if (fields.ok()) {
    if (magic != kMagic) return damaged("the value is none of engram's");
    if (version != kVersion) {
      return damaged("the value has version " + std::to_string(version) + ", this module reads " +
                     std::to_string(kVersion));
    }
    if (length > kMostCreationBytes) return damaged("the value's creation is too long");
  }
  const std::string_view creation = fields.string();
  const std::size_t header = rest().size() - fields.rest().size();
  const auto checksum = fields.number<std::uint32_t>();
  if (!fields.ok()) return false;
  if (checksum != checksum_of(rest().substr(0, header))) {
    return damaged("the checksum of the value's creation is wrong");
  }
  creation_ = creation;
  taken_ = pending_.size() - fields.rest().size();
  expects_ = Expects::kName;
  return true;
}

Result<bool> ValueReader::take_name() {
  FieldReader fields(rest());
  const auto length = fields.number<std::uint8_t>();
  if (length == 0) {
    taken_ += 1;
    expects_ = Expects::kNothing;
    return true;
  }
  const std::string_view name = fields.take(length);
  if (!fields.ok()) return false;
  if (sections_.size() == kMostSections || sections_.contains(name)) {
    return damaged("the value has a section too many");
  }
  name_ = name;
  checksum_ = checksum_of(name);
  taken_ += 1 + std::size_t{length};
  expects_ = Expects::kPiece;
  return true;
}

Result<bool> ValueReader::take_piece() {
  FieldReader fields(rest());
  const auto length = fields.number<std::uint32_t>();
  if (!fields.ok()) return false;
  if (length == 0) {
    const auto checksum = fields.number<std::uint32_t>();
    if (!fields.ok()) return false;
    ENGRAM_TRY(end_section(checksum));
    taken_ += 2 * sizeof(std::uint32_t);
    return true;
  }
  if (length > kPieceBytes) return damaged("section '" + name_ + "' has a piece that is too long");
  const std::string_view piece = fields.take(length);
  if (!fields.ok()) return false;
  checksum_ = crc32c(as_span(piece), checksum_);
  pieces_.emplace_back(piece);
  taken_ += sizeof(std::uint32_t) + piece.size();
  return true;
}

/// The pieces go one by one, so that a large section is not held twice.
Status ValueReader::end_section(std::uint32_t checksum) {
  if (checksum != checksum_) return damaged("the checksum of section '" + name_ + "' is wrong");
  Section section;
  for (const std::string& piece : pieces_) section.size += piece.size();
  const std::size_t room = round_up(std::max(section.size, kRowAlignment), kRowAlignment);
  section.bytes.reset(
      static_cast<std::byte*>(::operator new (room, std::align_val_t{kRowAlignment})));
  std::byte* end = section.bytes.get();
  for (std::string& piece : pieces_) {
    std::memcpy(end, piece.data(), piece.size());
    end += piece.size();
    piece = {};
  }
  pieces_.clear();
  sections_.emplace(std::exchange(name_, {}), std::move(section));
  expects_ = Expects::kName;
  return {};
}

Result<std::span<const std::byte>> ValueReader::section(std::string_view name) {
  const auto found = sections_.find(name);
  if (found == sections_.end()) return damaged("section '" + std::string(name) + "' is missing");
  return std::span<const std::byte>(found->second.bytes.get(), found->second.size);
}

Result<std::size_t> ValueReader::size(std::string_view name) {
  const auto bytes = section(name);
  if (!bytes) return tl::unexpected(bytes.error());
  return bytes->size();
}

Result<std::unique_ptr<Placement>> ValueReader::place(std::string_view name, std::byte* address) {
  const auto bytes = section(name);
  if (!bytes) return tl::unexpected(bytes.error());
  const std::size_t whole_pages = round_up(bytes->size(), kPageBytes);
  std::memcpy(address, bytes->data(), bytes->size());
  std::memset(address + bytes->size(), 0, whole_pages - bytes->size());
  sections_.erase(sections_.find(name));
  return std::unique_ptr<Placement>();
}

}  // namespace engram::host
