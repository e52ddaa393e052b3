// SPDX-License-Identifier: Apache-2.0
#include "server/durability/packed_collections.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "core/aligned_buffer.h"
#include "server/durability/checksum.h"
#include "server/durability/little_endian.h"
#include "server/durability/store_sections.h"

namespace engram {
namespace {

constexpr std::string_view kPlacesSection = "packed";
constexpr std::size_t kPlaceBytes = 32;

/// Larger collections have sections of their own, which can be mapped.
constexpr std::size_t kLargestPacked = std::size_t{32} << 10;

/// With names and padding no body comes near this.
constexpr std::size_t kLargestBody = std::size_t{1} << 20;

std::string pack_name(std::uint32_t pack) {
  return "pack." + std::to_string(pack);
}

/// Keeps sections, until they are too many bytes: then passes all on.
class Collector final : public SectionWriter {
 public:
  /// keeps: false, and all is passed on from the first.
  Collector(SectionWriter& target, bool keeps) : target_(target), keeps_(keeps) {}

  Status begin(std::string_view name) override {
    if (!keeps_) return target_.begin(name);
    sections_.emplace_back(name, std::string());
    return {};
  }

  Status append(std::span<const std::byte> bytes) override {
    if (!keeps_) return target_.append(bytes);
    if (sections_.empty()) return fail(ErrorCode::kInvalidArgument, "no section was begun");
    sections_.back().second.append(as_text(bytes));
    bytes_ += bytes.size();
    return bytes_ <= kLargestPacked ? Status() : pass_on();
  }

  [[nodiscard]] bool keeps() const noexcept { return keeps_; }

  /// The kept ones: u32 count, count × (string name, u32 length), and then the sections, each at a
  /// multiple of a row's alignment.
  [[nodiscard]] std::string body() const {
    std::string body;
    put_number(body, static_cast<std::uint32_t>(sections_.size()));
    for (const auto& [name, bytes] : sections_) {
      put_string(body, name);
      put_number(body, static_cast<std::uint32_t>(bytes.size()));
    }
    for (const auto& [name, bytes] : sections_) {
      body.resize(round_up(body.size(), kRowAlignment), '\0');
      body.append(bytes);
    }
    body.resize(round_up(body.size(), kRowAlignment), '\0');
    return body;
  }

 private:
  Status pass_on() {
    keeps_ = false;
    for (const auto& [name, bytes] : std::exchange(sections_, {})) {
      ENGRAM_TRY(target_.begin(name));
      ENGRAM_TRY(target_.append(as_span(bytes)));
    }
    return {};
  }

  SectionWriter& target_;
  bool keeps_;
  std::vector<std::pair<std::string, std::string>> sections_;
  std::size_t bytes_ = 0;
};

}  // namespace

Status CollectionPacker::add(SectionOwner id, const std::function<Status(SectionWriter&)>& save) {
  // Where the collector keeps nothing, or no more, sections of the collection's own are begun.
  writer_.set_owner(id);
  Collector collector(writer_, packs_);
  ENGRAM_TRY(save(collector));
  if (collector.keeps()) return pack(id, collector.body());
  in_pack_ = false;
  return {};
}

Status CollectionPacker::pack(SectionOwner id, const std::string& body) {
  writer_.set_owner(kPackOwner);
  if (!in_pack_) {
    ENGRAM_TRY(writer_.begin(pack_name(pack_count_++)));
    in_pack_ = true;
    pack_bytes_ = 0;
  }
  put_number(places_, id);
  put_number(places_, pack_count_ - 1);
  put_number(places_, static_cast<std::uint32_t>(body.size()));
  put_number(places_, pack_bytes_);
  put_number(places_, checksum_of(body));
  put_number(places_, std::uint32_t{0});
  pack_bytes_ += body.size();
  return writer_.append(as_span(body));
}

Status CollectionPacker::finish() {
  if (places_.empty()) return {};
  writer_.set_owner(kStoreOwner);
  ENGRAM_TRY(writer_.begin(kPlacesSection));
  return writer_.append(as_span(places_));
}

/// Reads a collection when it is first asked for a section.
class PackedCollections::Reader final : public SectionReader {
 public:
  Reader(const SnapshotFile& snapshot, SectionOwner id, const PackedPlace& place)
      : snapshot_(snapshot), id_(id), place_(place) {}

  Result<std::span<const std::byte>> section(std::string_view name) override {
    ENGRAM_TRY(read());
    for (const auto& [found, bytes] : sections_) {
      if (found == name) return bytes;
    }
    return fail(ErrorCode::kDataLoss, "the snapshot has no section '" + std::string(name) +
                                          "' of collection " + std::to_string(id_));
  }

  Result<std::size_t> size(std::string_view name) override {
    const auto bytes = section(name);
    if (!bytes) return tl::unexpected(bytes.error());
    return bytes->size();
  }

  Result<std::unique_ptr<Placement>> place(std::string_view name, std::byte* address) override {
    const auto bytes = section(name);
    if (!bytes) return tl::unexpected(bytes.error());
    std::memcpy(address, bytes->data(), bytes->size());
    return nullptr;
  }

  Status read() {
    if (is_read_) return {};
    if (place_.length > kLargestBody) return damaged();
    std::byte* const body = buffer_.reserve(place_.length);
    const std::span<std::byte> bytes(body, place_.length);
    ENGRAM_TRY(snapshot_.read(kPackOwner, pack_name(place_.pack), place_.offset, bytes));
    if (crc32c(bytes) != place_.checksum || !parse(bytes)) return damaged();
    is_read_ = true;
    return {};
  }

  /// After read().
  [[nodiscard]] std::string_view body() { return as_text({buffer_.reserve(0), place_.length}); }

 private:
  tl::unexpected<Error> damaged() const {
    return fail(ErrorCode::kDataLoss,
                snapshot_.path() + " is damaged in section '" + pack_name(place_.pack) + "', " +
                    std::to_string(place_.length) + " bytes of collection " + std::to_string(id_) +
                    " at " + std::to_string(place_.offset));
  }

  bool parse(std::span<const std::byte> body) {
    FieldReader fields(as_text(body));
    const auto count = fields.number<std::uint32_t>();
    std::vector<std::pair<std::string_view, std::size_t>> names;
    for (std::uint32_t i = 0; i < count && fields.ok(); ++i) {
      const std::string_view name = fields.string();
      names.emplace_back(name, fields.number<std::uint32_t>());
    }
    if (!fields.ok()) return false;
    std::size_t offset = body.size() - fields.rest().size();
    for (const auto& [name, length] : names) {
      offset = round_up(offset, kRowAlignment);
      if (offset > body.size() || length > body.size() - offset) return false;
      sections_.emplace_back(name, body.subspan(offset, length));
      offset += length;
    }
    return true;
  }

  const SnapshotFile& snapshot_;
  const SectionOwner id_;
  const PackedPlace place_;
  AlignedBuffer buffer_;
  std::vector<std::pair<std::string_view, std::span<const std::byte>>> sections_;
  bool is_read_ = false;
};

Result<PackedCollections> PackedCollections::read(const SnapshotFile& snapshot) {
  PackedCollections packed(snapshot);
  const auto store = snapshot.sections_of(kStoreOwner);
  if (!store->size(kPlacesSection)) return packed;
  const auto section = store->section(kPlacesSection);
  if (!section) return tl::unexpected(section.error());
  if (section->size() % kPlaceBytes != 0) {
    return fail(ErrorCode::kDataLoss, "section '" + std::string(kPlacesSection) + "' has " +
                                          std::to_string(section->size()) +
                                          " bytes, a multiple of 32 was expected");
  }
  FieldReader fields(as_text(*section));
  packed.places_.reserve(section->size() / kPlaceBytes);
  while (!fields.rest().empty()) {
    const auto id = fields.number<std::uint64_t>();
    PackedPlace place{};
    place.pack = fields.number<std::uint32_t>();
    place.length = fields.number<std::uint32_t>();
    place.offset = fields.number<std::uint64_t>();
    place.checksum = fields.number<std::uint32_t>();
    fields.number<std::uint32_t>();
    packed.places_[id] = place;
  }
  return packed;
}

std::unique_ptr<SectionReader> PackedCollections::sections_of(SectionOwner id) const {
  const auto found = places_.find(id);
  if (found == places_.end()) return snapshot_->sections_of(id);
  return std::make_unique<Reader>(*snapshot_, id, found->second);
}

std::vector<SectionOwner> PackedCollections::ids() const {
  std::vector<SectionOwner> ids;
  for (const auto& [id, place] : places_) ids.push_back(id);
  return ids;
}

Result<std::string> PackedCollections::body(SectionOwner id) const {
  const auto found = places_.find(id);
  if (found == places_.end()) return fail(ErrorCode::kNotFound, "it lies in no shared section");
  Reader reader(*snapshot_, id, found->second);
  ENGRAM_TRY(reader.read());
  return std::string(reader.body());
}

Status PackedCollections::verify() const {
  for (const auto& [id, place] : places_) {
    ENGRAM_TRY(Reader(*snapshot_, id, place).read());
  }
  return {};
}

}  // namespace engram
