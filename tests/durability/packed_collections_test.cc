// SPDX-License-Identifier: Apache-2.0
#include "server/durability/packed_collections.h"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/durability/little_endian.h"
#include "server/durability/snapshot_file.h"
#include "tests/durability/store_fixture.h"

namespace engram::test::packed_collections_test {
namespace {

using Contents = std::map<std::string, std::string>;  // of sections
using Collections = std::map<SectionOwner, Contents>;

struct Store {
  Store() { files->set_id(some_id()); }
  TemporaryDirectory directory;
  FaultyFileSystem disk;
  std::unique_ptr<StoreFiles> files = std::move(*StoreFiles::open(disk, directory.path()));
};

/// Small ones, an empty one, and some of which each is too large, or is by its last section.
Collections some_collections() {
  Collections collections;
  for (SectionOwner id = 1; id <= 40; ++id) {
    Contents& contents = collections[id];
    contents["keys"] = "keys of " + std::to_string(id);
    contents["empty"] = "";
    contents["rows"] = std::string(id * 10, static_cast<char>(id));
    if (id % 10 == 0) contents["rows"] = std::string(id * 1000, static_cast<char>(id));
    if (id % 10 == 5) contents["tail"] = std::string(100'000, static_cast<char>(id));
  }
  collections[41] = {};
  return collections;
}

void write(const StoreFiles& files, const Collections& collections, bool packs) {
  auto writer = SnapshotWriter::create(files);
  REQUIRE(writer);
  CollectionPacker packer(**writer, packs);
  for (const auto& [id, contents] : collections) {
    const auto& named = contents;  // a structured binding cannot be captured
    const Status added = packer.add(id, [&](SectionWriter& sections) -> Status {
      for (const auto& [name, content] : named) {
        ENGRAM_TRY(sections.begin(name));
        ENGRAM_TRY(sections.append(as_span(std::string_view(content).substr(0, 7))));
        if (content.size() > 7) ENGRAM_TRY(sections.append(as_span(content).subspan(7)));
      }
      return {};
    });
    REQUIRE(added);
  }
  REQUIRE(packer.finish());
  REQUIRE((*writer)->publish(1, 1));
}

std::unique_ptr<SnapshotFile> open(const StoreFiles& files) {
  StoreId id = some_id();
  auto snapshot = SnapshotFile::open(files, id);
  REQUIRE(snapshot);
  return std::move(*snapshot);
}

/// Whether all sections of a collection are what they were; else they must be known as damaged.
bool is_whole(const PackedCollections& packed, SectionOwner id, const Contents& contents) {
  const auto sections = packed.sections_of(id);
  for (const auto& [name, content] : contents) {
    const auto section = sections->section(name);
    if (!section) {
      CHECK(section.error().code == ErrorCode::kDataLoss);
      return false;
    }
    CHECK(as_text(*section) == content);
    CHECK(reinterpret_cast<std::uintptr_t>(section->data()) % kRowAlignment == 0);
    CHECK(*sections->size(name) == content.size());
  }
  return true;
}

TEST_CASE("durability/packed_collections: each has the sections that were written, and no others") {
  const Collections collections = some_collections();
  for (const bool packs : {true, false}) {
    Store store;
    write(*store.files, collections, packs);
    const auto snapshot = open(*store.files);
    const auto packed = PackedCollections::read(*snapshot);
    REQUIRE(packed);
    CHECK(packed->size() == (packs ? 36 : 0));  // the other five are too large
    CHECK(packed->verify());
    for (const auto& [id, contents] : collections) {
      CHECK(is_whole(*packed, id, contents));
      CHECK_FALSE(packed->sections_of(id)->section("other"));
    }
    CHECK_FALSE(packed->sections_of(99)->section("keys"));
  }
}

TEST_CASE("durability/packed_collections: a flipped bit costs one collection, and is found") {
  const Collections collections = some_collections();
  Store store;
  write(*store.files, collections, true);
  const std::string intact = read_file(store.files->snapshot_path());
  for (const SectionOwner id : {SectionOwner{1}, SectionOwner{17}, SectionOwner{39}}) {
    std::string damaged = intact;
    const std::size_t at = damaged.find("keys of " + std::to_string(id) + std::string(1, '\0'));
    REQUIRE(at != damaged.npos);
    damaged[at] ^= 1;
    write_file(store.files->snapshot_path(), damaged);
    const auto snapshot = open(*store.files);
    const auto packed = PackedCollections::read(*snapshot);
    REQUIRE(packed);
    CHECK_FALSE(packed->verify());
    for (const auto& [each, contents] : collections) {
      CHECK(is_whole(*packed, each, contents) == (each != id));
    }
  }
}

}  // namespace
}  // namespace engram::test::packed_collections_test
