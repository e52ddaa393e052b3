// SPDX-License-Identifier: Apache-2.0
#include "server/durability/check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "server/durability/journal_format.h"
#include "server/durability/little_endian.h"
#include "server/durability/previous_snapshot.h"
#include "server/durability/snapshot_file.h"
#include "server/durability/store_sections.h"
#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"

namespace engram::test::check_test {
namespace {

std::string joined(const CheckReport& report) {
  std::string text;
  for (const std::string& line : report.lines) text += line + "\n";
  return text;
}

/// A store with three segments of three frames each, and a snapshot if it is asked for.
struct SmallStore : StoreFixture {
  SmallStore() {
    open();
    for (int i = 1; i <= 9; ++i) {
      set("key" + std::to_string(i));
      await_answers();
      if (i % 3 == 0 && i != 9) journal->rotate();
    }
    REQUIRE(journal->close());
    journal.reset();
  }

  void snapshot(Lsn replay_from, Lsn journal_reaches = 0) {
    const auto writer = std::move(*SnapshotWriter::create(*files));
    std::string strings;
    for (Lsn lsn = 1; lsn < replay_from; ++lsn) {
      encode(SetString{"key" + std::to_string(lsn), kNeverExpires, "value"}, strings);
    }
    REQUIRE(writer->begin("strings"));
    REQUIRE(writer->append(as_span(strings)));
    REQUIRE(writer->begin("collections"));
    if (journal_reaches == 0) journal_reaches = replay_from - 1;
    REQUIRE(write_counters(*writer, {.next_collection_id = 1, .journal_reaches = journal_reaches}));
    REQUIRE(writer->publish(replay_from, 0));
  }

  /// Whether a server would start.
  bool starts() {
    StoreId id = some_id();
    const auto opened = SnapshotFile::open(*files, id);
    if (!opened && opened.error().code != ErrorCode::kNotFound) return false;
    const auto replayed = replay(*files, opened ? (*opened)->replay_from() : 1);
    if (!replayed || !opened) return replayed.has_value();
    return replayed->end.next >
           read_counters(*(*opened)->sections_of(kStoreOwner))->journal_reaches;
  }

  /// The report alone: a server contains or makes good what it says.
  CheckReport look(bool repair = false) {
    files.reset();
    const auto report = check_store(disk, directory.path(), repair);
    REQUIRE_MESSAGE(report.has_value(), (report ? "" : report.error().message));
    lock();
    return *report;
  }

  /// The report, and whether a server would say the same.
  CheckReport check(bool repair = false) {
    const CheckReport report = look(repair);
    CAPTURE(joined(report));
    CHECK(report.damaged == !starts());
    return report;
  }

  void damage(const std::string& path, std::size_t offset) {
    std::string bytes = read_file(path);
    bytes[offset] = static_cast<char>(bytes[offset] ^ 4);
    write_file(path, bytes);
  }

  /// All bytes of all files but the lock, as a bag: a repair moves them, and loses none.
  std::multiset<char> all_bytes() {
    std::multiset<char> bytes;
    const auto names = disk.list(directory.path());
    for (const std::string& name : *names) {
      if (name == "engram.lock") continue;
      for (const char c : read_file(directory.path() + "/" + name)) bytes.insert(c);
    }
    return bytes;
  }
};

std::size_t frame_bytes() {
  std::string body;
  encode(SetString{"key1", kNeverExpires, "value"}, body);
  return kFrameHeaderBytes + body.size();
}

bool says(const CheckReport& report, const std::string& what) {
  return joined(report).find(what) != std::string::npos;
}

TEST_CASE("durability/check: a sound store, with every file told") {
  SmallStore store;
  store.snapshot(4);
  write_file(store.directory.path() + "/notes.txt", "");
  write_file(store.directory.path() + "/x.cut", "");
  const CheckReport report = store.check();
  CHECK_FALSE(report.damaged);
  CHECK(says(report, "snapshot.engram: sound"));
  CHECK(says(report, "3 strings, 0 collections, to be replayed from frame 4"));
  CHECK(says(report, "journal-00000000000000000001.log: sound"));
  CHECK(says(report, "frames 7 to 9"));
  CHECK(says(report, "notes.txt: is no file of engram"));
  CHECK(says(report, "x.cut: cut out by a repair"));
  const CheckReport repaired = store.check(true);
  CHECK(repaired.lines == report.lines);
}

TEST_CASE("durability/check: a store that is open is refused; a folder without one is left alone") {
  SmallStore store;
  const auto refused = check_store(store.disk, store.directory.path(), true);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kAlreadyExists);

  const TemporaryDirectory empty;
  const auto none = check_store(store.disk, empty.path(), true);
  REQUIRE(none);
  CHECK_FALSE(none->damaged);
  CHECK(store.disk.list(empty.path())->empty());
  CHECK(check_store(store.disk, empty.path() + "/no", false).error().code == ErrorCode::kNotFound);
}

TEST_CASE("durability/check: a torn tail is no damage, and cut off when that is asked for") {
  SmallStore store;
  const std::string path = store.segment(7);
  write_file(path, read_file(path) + "ten bytes.");
  const auto bytes = store.all_bytes();
  const CheckReport report = store.check();
  CHECK_FALSE(report.damaged);
  CHECK(says(report, "torn tail of 10 bytes"));
  CHECK(store.all_bytes() == bytes);

  CHECK_FALSE(store.check(true).damaged);
  CHECK(store.all_bytes() == bytes);
  CHECK(read_file(path + ".cut").size() == 10);
  CHECK_FALSE(replay(*store.files)->end.torn);
  CHECK(replay(*store.files)->frames.size() == 9);
}

TEST_CASE("durability/check: last frames that were on disk are told by name, and repaired") {
  const std::size_t end = kSegmentHeaderBytes + 3 * frame_bytes();
  for (const std::size_t length : {end, end - 10, end - frame_bytes(), kSegmentHeaderBytes + 0}) {
    CAPTURE(length);
    SmallStore store;
    const std::string path = store.segment(7);
    std::string bytes = read_file(path).substr(0, length);
    if (length == end) std::fill(bytes.begin() + kSegmentHeaderBytes, bytes.end(), '\0');
    write_file(path, bytes);
    const bool ends_early = length == end - frame_bytes() || length == kSegmentHeaderBytes;
    const CheckReport report = store.check();
    CHECK(report.damaged);
    CHECK(says(report, ends_early ? "engram.synced says were on disk" : "though it was on disk"));
    const auto all_bytes = store.all_bytes();
    const CheckReport repaired = store.check(true);
    CHECK_FALSE(repaired.damaged);
    CHECK(says(repaired, "moved engram.synced to engram.synced.cut"));
    CHECK(store.all_bytes() == all_bytes);
    CHECK_FALSE(store.check().damaged);
  }
}

TEST_CASE(
    "durability/check: damage in a segment ends the journal there, and all behind it is kept") {
  for (const std::size_t frame : {0U, 1U, 2U}) {
    for (const Lsn segment : {1U, 4U, 7U}) {
      CAPTURE(frame);
      CAPTURE(segment);
      SmallStore store;
      store.damage(store.segment(segment), kSegmentHeaderBytes + frame * frame_bytes() + 40);
      const auto bytes = store.all_bytes();
      const CheckReport report = store.check();
      CHECK(report.damaged);
      const Lsn lost = segment + frame;
      CHECK(says(report, "where frame " + std::to_string(lost) + " should be"));
      CHECK(says(report, segment == 7 ? "lost when this is repaired: frame " +
                                            std::to_string(lost) + " and what follows"
                                      : "lost when this is repaired: frames " +
                                            std::to_string(lost) + " to 9"));
      CHECK(store.all_bytes() == bytes);

      const CheckReport repaired = store.check(true);
      CHECK_FALSE(repaired.damaged);
      CHECK(store.all_bytes() == bytes);
      CHECK(replay(*store.files)->end.next == lost);
      CHECK_FALSE(replay(*store.files)->end.torn);
      CHECK_FALSE(store.check().damaged);
    }
  }
}

TEST_CASE("durability/check: a damaged header of a segment takes the whole of it away") {
  SmallStore store;
  store.damage(store.segment(4), 3);
  CHECK(store.check().damaged);
  CHECK_FALSE(store.check(true).damaged);
  CHECK(*store.files->segments() == std::vector<Lsn>{1});
  CHECK(std::filesystem::exists(store.segment(4) + ".cut"));
  CHECK(std::filesystem::exists(store.segment(7) + ".cut"));
}

TEST_CASE("durability/check: a missing segment is told with what it held") {
  SmallStore store;
  REQUIRE(store.disk.remove(store.segment(4)));
  const CheckReport report = store.check();
  CHECK(report.damaged);
  CHECK(says(report, "the journal lacks frames 4 to 6"));
  CHECK(says(report, "frames 4 to 9"));
  CHECK_FALSE(store.check(true).damaged);
  CHECK(replay(*store.files)->end.next == 4);
}

TEST_CASE("durability/check: damage in what a snapshot covers does no harm") {
  SmallStore store;
  store.snapshot(4);
  store.damage(store.segment(1), 100);
  const CheckReport report = store.check();
  CHECK_FALSE(report.damaged);
  CHECK(says(report, "not needed"));
}

TEST_CASE("durability/check: a damaged snapshot goes aside if the journal has everything") {
  SmallStore store;
  store.snapshot(4);
  store.damage(store.files->snapshot_path(), 4096 + 10);
  const CheckReport report = [&] {
    store.files.reset();
    return *check_store(store.disk, store.directory.path(), false);
  }();
  CHECK(report.damaged);
  CHECK(says(report, "damaged in section 'strings'"));
  CHECK_FALSE(store.check(true).damaged);
  CHECK(std::filesystem::exists(store.files->snapshot_path() + ".cut"));
  CHECK(replay(*store.files)->frames.size() == 9);
}

TEST_CASE("durability/check: a damaged snapshot without the whole journal needs a backup") {
  SmallStore store;
  store.snapshot(4);
  REQUIRE(store.disk.remove(store.segment(1)));
  store.damage(store.files->snapshot_path(),
               std::filesystem::file_size(store.files->snapshot_path()) - 10);  // the footer
  const auto bytes = store.all_bytes();
  const CheckReport report = store.check(true);
  CHECK(report.damaged);
  CHECK(says(report, "a backup is needed"));
  CHECK(store.all_bytes() == bytes);
}

TEST_CASE("durability/check: a snapshot with a damaged header loses nothing by its repair") {
  SmallStore store;
  store.snapshot(4);
  const std::string path = store.files->snapshot_path();
  const std::string sound = read_file(path);
  REQUIRE(store.disk.remove(store.segment(1)));
  for (const std::size_t offset : {3U, 10U, 20U, 2000U, 4094U}) {
    CAPTURE(offset);
    store.damage(path, offset);
    CHECK(store.check().damaged);
    const CheckReport repaired = store.check(true);
    CHECK_FALSE(repaired.damaged);
    CHECK(says(repaired, "nothing is lost"));
    CHECK(read_file(path) == sound);
  }
}

/// A snapshot of two collections and some strings, each section of one page.
void write_collections(const StoreFiles& files, Lsn replay_from) {
  const auto writer = std::move(*SnapshotWriter::create(files));
  std::string changes;
  for (int i = 1; i <= 9; ++i) {
    encode(SetString{"string" + std::to_string(i), kNeverExpires, "value"}, changes);
  }
  REQUIRE(writer->begin(kStringsSection));
  REQUIRE(writer->append(as_span(changes)));
  changes.clear();
  for (const SectionOwner id : {1U, 2U}) {
    writer->set_owner(id);
    std::string keys;
    for (std::uint32_t slot = 0; slot < 10 * id; ++slot) {
      put_number(keys, slot);
      put_string(keys, "key" + std::to_string(slot));
    }
    REQUIRE(writer->begin("keys"));
    REQUIRE(writer->append(as_span(keys)));
    REQUIRE(writer->begin("store.rows"));
    REQUIRE(writer->append(as_span(std::string(2000, static_cast<char>('0' + id)))));
    const std::string name = "index" + std::to_string(id);
    encode(NewCollection{name, kNeverExpires, id, 4, "l2", "flat", {}}, changes);
  }
  writer->set_owner(kStoreOwner);
  REQUIRE(writer->begin(kCollectionsSection));
  REQUIRE(writer->append(as_span(changes)));
  REQUIRE(write_counters(*writer, {.next_collection_id = 3, .journal_reaches = 0}));
  REQUIRE(writer->publish(replay_from, 0));
}

std::vector<std::string> section_names(const StoreFiles& files) {
  StoreId id = some_id();
  const auto snapshot = std::move(*SnapshotFile::open(files, id));
  std::vector<std::string> names;
  for (const SnapshotEntry& entry : snapshot->entries()) {
    names.push_back(std::to_string(entry.owner) + "/" + entry.name);
  }
  return names;
}

TEST_CASE(
    "durability/check: a repaired snapshot lacks what was damaged, and the report says what") {
  struct Case {
    std::size_t page;  // of the flipped bit
    const char* loss;
    std::size_t sections;  // that are left
  };
  constexpr std::size_t kAll = 7;
  for (const Case& of : {
           Case{
               1,
               "section 'strings' is damaged: lost is every string of the snapshot but the first 0",
               kAll},
           {2, "lost is index 'index1' with an unknown number of vectors", kAll - 2},
           {3, "lost is index 'index1' with 10 vectors", kAll - 2},
           {5, "lost is index 'index2' with 20 vectors", kAll - 2},
           {6, "lost are 2 indexes whose names and options cannot be read", kAll - 4},
           {7, "nothing is lost", kAll},
       }) {
    CAPTURE(of.page);
    SmallStore store;
    write_collections(*store.files, 4);
    REQUIRE(section_names(*store.files).size() == kAll);
    REQUIRE(store.disk.remove(store.segment(1)));
    const std::string path = store.files->snapshot_path();
    store.damage(path, of.page * 4096 + 5);
    const std::string damaged = read_file(path);
    CHECK(store.look().damaged);
    const CheckReport repaired = store.look(true);
    CAPTURE(joined(repaired));
    CHECK_FALSE(repaired.damaged);
    CHECK(says(repaired, of.loss));
    CHECK(section_names(*store.files).size() == of.sections);
    CHECK(read_file(path + ".cut") == damaged);
    CHECK(replay(*store.files, 4)->frames.size() == 6);
    StoreId id = some_id();
    const auto snapshot = std::move(*SnapshotFile::open(*store.files, id));
    CHECK(read_counters(*snapshot->sections_of(kStoreOwner))->next_collection_id == 3);
  }
}

TEST_CASE("durability/check: the previous snapshot stands in for a damaged one") {
  SmallStore store;
  write_collections(*store.files, 4);
  const std::string path = store.files->snapshot_path();
  const std::string previous = store.files->previous_snapshot_path();
  REQUIRE(link_newest_as_previous(*store.files));
  REQUIRE(store.disk.remove(store.segment(1)));
  write_collections(*store.files, 7);
  CHECK(says(store.check(), "snapshot.previous: kept in case the newest is damaged"));
  store.damage(path, 3 * 4096);
  CHECK(says(store.look(), "snapshot.previous stands in: nothing is lost"));
  SUBCASE("if it is sound") {
    CHECK_FALSE(store.look(true).damaged);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(std::filesystem::exists(previous));
  }
  SUBCASE("but not if it is damaged, too") {
    const std::string damaged = read_file(previous);
    write_file(previous, damaged.substr(0, 3 * 4096) + "x" + damaged.substr(3 * 4096 + 1));
    const CheckReport repaired = store.look(true);
    CHECK_FALSE(repaired.damaged);
    CHECK(says(repaired, "lost is index 'index1' with 10 vectors"));
    CHECK(std::filesystem::exists(path));
  }
  CHECK(std::filesystem::exists(path + ".cut"));
}

/// As after a time in which the journal could not be written.
TEST_CASE("durability/check: a journal with a gap is no reason to give a damaged snapshot up") {
  SmallStore store;
  store.open(12);
  store.set("key12");
  store.await_answers();
  REQUIRE(store.journal->close());
  store.journal.reset();
  write_collections(*store.files, 12);
  CHECK_FALSE(store.check().damaged);
  store.damage(store.files->snapshot_path(), 3 * 4096);
  CHECK(store.look().damaged);
  const CheckReport repaired = store.look(true);
  CAPTURE(joined(repaired));
  CHECK_FALSE(repaired.damaged);
  CHECK(says(repaired, "lost is index 'index1' with 10 vectors"));
  CHECK(replay(*store.files, 12)->frames == std::vector<std::string>{"key12"});
}

TEST_CASE("durability/check: a snapshot whose journal is gone gets an empty one") {
  SmallStore store;
  store.snapshot(4);
  for (const Lsn first : {1U, 4U, 7U}) REQUIRE(store.disk.remove(store.segment(first)));
  CHECK(says(store.check(), "the journal is missing: frame 4 and what follows"));
  CHECK_FALSE(store.check(true).damaged);
  CHECK(replay(*store.files, 4)->end.next == 4);
}

TEST_CASE("durability/check: a snapshot that saw what the journal lost can be started from") {
  for (const Lsn reaches : {4U, 6U, 8U}) {
    CAPTURE(reaches);
    SmallStore store;
    store.snapshot(3, reaches);
    CHECK_FALSE(store.check().damaged);
    store.damage(store.segment(4), kSegmentHeaderBytes + frame_bytes() + 40);  // frame 5
    const bool is_short = reaches >= 5;
    CHECK(store.check().damaged);
    CHECK(says(store.check(), "not whole without the journal up to frame") == is_short);
    const CheckReport repaired = store.check(true);
    CHECK_FALSE(repaired.damaged);
    CHECK(says(repaired, "frames that change nothing") == is_short);
    CHECK(replay(*store.files, 3)->end.next == (is_short ? reaches + 1 : 5));
    std::vector<std::string> frames = {"key3", "key4"};
    if (is_short) frames.resize(reaches - 2, "-");
    CHECK(replay(*store.files, 3)->frames == frames);
  }
}

TEST_CASE("durability/check: files of two stores are told, and left alone") {
  SmallStore store;
  store.snapshot(4);
  write_file(store.segment(7), encode_segment_header(some_id(100), 7));
  const auto bytes = store.all_bytes();
  const CheckReport report = store.check(true);
  CHECK(report.damaged);
  CHECK(says(report, "another store"));
  CHECK(store.all_bytes() == bytes);
}

TEST_CASE("durability/check: a second repair does not overwrite what the first one kept") {
  SmallStore store;
  store.damage(store.segment(7), kSegmentHeaderBytes + frame_bytes() + 40);
  store.check(true);
  store.damage(store.segment(7), kSegmentHeaderBytes + 40);
  store.check(true);
  CHECK(std::filesystem::exists(store.segment(7) + ".cut"));
  CHECK(std::filesystem::exists(store.segment(7) + ".2.cut"));
}

TEST_CASE("durability/check: a repair that dies at any operation can be done again") {
  const std::uint64_t seed = make_rng(30)();
  for (const bool power : {false, true}) {
    bool done = false;
    for (std::uint64_t at = 1; !done; ++at) {
      CAPTURE(power);
      CAPTURE(at);
      CAPTURE(seed + at);
      SmallStore store;
      const std::string path = store.segment(4);
      store.damage(path, kSegmentHeaderBytes + frame_bytes() + 40);
      const std::string tail = read_file(path).substr(kSegmentHeaderBytes + frame_bytes());
      const std::string newest = read_file(store.segment(7));
      store.files.reset();
      store.disk.stop_at(store.disk.operations() + at, seed + at);
      done = check_store(store.disk, store.directory.path(), true).has_value();
      if (power) {
        store.disk.lose_unsynced(seed + at);
      } else {
        store.disk.restart();
      }
      CHECK_FALSE(store.check(true).damaged);
      CHECK(replay(*store.files)->end.next == 5);
      // Whatever happened, what was cut out is in some file.
      std::set<std::string> contents;
      const auto names = store.disk.list(store.directory.path());
      for (const std::string& name : *names) {
        contents.insert(read_file(store.directory.path() + "/" + name));
      }
      CHECK(contents.contains(tail));
      CHECK(contents.contains(newest));
    }
  }
}

}  // namespace
}  // namespace engram::test::check_test
