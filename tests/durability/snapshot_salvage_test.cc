// SPDX-License-Identifier: Apache-2.0
#include "server/durability/snapshot_salvage.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/durability/change.h"
#include "server/durability/little_endian.h"
#include "server/durability/store_sections.h"
#include "tests/durability/store_fixture.h"

namespace engram::test::snapshot_salvage_test {
namespace {

/// Strings lie across the ends of blocks, one over several of them.
TEST_CASE("durability/snapshot_salvage: every string before the first damaged block is kept") {
  const StoreFixture store;
  const StoreFiles& files = *store.files;
  std::string strings;
  std::vector<std::size_t> ends;
  for (unsigned i = 0; i < 5000; ++i) {
    const std::string value(i == 1000 ? 200'000U : 20U + i % 50U, 'v');
    encode(SetString{"string" + std::to_string(i), kNeverExpires, value}, strings);
    ends.push_back(strings.size());
  }
  {
    const auto writer = std::move(*SnapshotWriter::create(files));
    REQUIRE(writer->begin(kStringsSection));
    REQUIRE(writer->append(as_span(strings)));
    REQUIRE(writer->begin(kCollectionsSection));
    REQUIRE(write_counters(*writer, {.next_collection_id = 1, .journal_reaches = 0}));
    REQUIRE(writer->publish(4, 0));
  }
  const std::string sound = read_file(files.snapshot_path());
  for (const std::size_t block : {0U, 2U, 4U, 6U}) {
    CAPTURE(block);
    const std::size_t begin = block * kSnapshotBlockBytes;
    REQUIRE(begin < strings.size());
    std::string damaged = sound;
    damaged[kSnapshotPageBytes + begin + 100] ^= 4;
    write_file(files.snapshot_path(), damaged);
    StoreId id = some_id();
    std::vector<std::string> lines;
    REQUIRE(salvage_snapshot(files, **open_damaged(files, id), lines));
    const auto whole = std::upper_bound(ends.begin(), ends.end(), begin);
    CHECK(lines.back().ends_with("but the first " + std::to_string(whole - ends.begin())));
    const auto left = std::move(*SnapshotFile::open(files, id));
    const std::size_t kept = whole == ends.begin() ? 0 : *std::prev(whole);
    CHECK(as_text(*left->sections_of(kStoreOwner)->section(kStringsSection)) ==
          strings.substr(0, kept));
    CHECK(left->replay_from() == 4);
  }
}

}  // namespace
}  // namespace engram::test::snapshot_salvage_test
