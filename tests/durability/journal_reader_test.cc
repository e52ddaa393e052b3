// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal_reader.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "server/durability/journal_format.h"
#include "server/durability/synced_mark.h"
#include "tests/durability/store_fixture.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"

namespace engram::test::journal_reader_test {
namespace {

using Keys = std::vector<std::string>;

/// A frame as the journal would make it.
std::string frame(Lsn lsn, Lsn known_durable, std::string_view key, std::string_view value = "v") {
  std::string bytes(kFrameHeaderBytes, '\0');
  encode(SetString{key, kNeverExpires, value}, bytes);
  complete_frame(bytes, lsn, known_durable);
  return bytes;
}

/// A directory whose segments a test writes byte by byte.
struct Segments {
  Segments() { files->set_id(some_id()); }

  void write(Lsn first, std::string_view frames) {
    write_file(files->segment_path(first),
               encode_segment_header(some_id(), first) + std::string(frames));
  }
  Result<Replay> read(Lsn from = 1) const { return replay(*files, from); }

  TemporaryDirectory directory;
  std::unique_ptr<StoreFiles> files =
      std::move(*StoreFiles::open(posix_file_system(), directory.path()));
};

/// The test's frames have no byte of value zero where a blank sector would show, so every sector of
/// zeros is one that a test has put there.
std::string filler(std::size_t bytes) {
  return std::string(bytes, 'x');
}

TEST_CASE("durability/journal_reader: no segments are an empty journal") {
  Segments segments;
  const auto replayed = segments.read();
  REQUIRE(replayed);
  CHECK(replayed->end.next == 1);
  CHECK_FALSE(segments.read(2));
}

TEST_CASE("durability/journal_reader: every prefix ends in a torn tail after its whole frames") {
  Segments segments;
  std::string whole = encode_segment_header(some_id(), 1);
  std::vector<std::size_t> ends{whole.size()};
  for (Lsn lsn = 1; lsn <= 6; ++lsn) {
    whole += frame(lsn, lsn - 1, "key" + std::to_string(lsn), filler(lsn * 7));
    ends.push_back(whole.size());
  }
  const std::string path = segments.files->segment_path(1);
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    CAPTURE(length);
    write_file(path, std::string_view(whole).substr(0, length));
    const auto replayed = segments.read();
    REQUIRE(replayed);
    std::size_t frames = 0;
    while (frames + 1 < ends.size() && ends[frames + 1] <= length) ++frames;
    const std::size_t intact = length < ends[0] ? 0 : ends[frames];
    CHECK(replayed->frames.size() == frames);
    CHECK(replayed->end.next == frames + 1);
    REQUIRE(replayed->end.torn.has_value() == (length != intact || length == 0));
    if (!replayed->end.torn) continue;
    CHECK(replayed->end.torn->path == path);
    CHECK(replayed->end.torn->offset == intact);
    CHECK(replayed->end.torn->bytes == length - intact);

    REQUIRE(cut(*segments.files, *replayed->end.torn));
    CHECK(std::filesystem::exists(path) == (intact != 0));
    CHECK_FALSE(segments.read()->end.torn);
    CHECK(segments.read()->frames.size() == frames);
  }
}

TEST_CASE("durability/journal_reader: no flipped bit passes, in whichever segment") {
  Segments segments;
  std::string first;
  for (Lsn lsn = 1; lsn <= 4; ++lsn) first += frame(lsn, 0, "k" + std::to_string(lsn), "value");
  std::string last;
  for (Lsn lsn = 5; lsn <= 8; ++lsn) last += frame(lsn, 4, "k" + std::to_string(lsn), "value");
  segments.write(1, first);
  segments.write(5, last);
  for (const Lsn segment : {1U, 5U}) {
    const std::string path = segments.files->segment_path(segment);
    const std::string good = read_file(path);
    for (std::size_t bit = 0; bit < good.size() * 8; bit += crash_step()) {
      CAPTURE(segment);
      CAPTURE(bit);
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
      write_file(path, bad);
      const auto replayed = segments.read();
      REQUIRE_FALSE(replayed);
      CHECK((replayed.error().code == ErrorCode::kDataLoss ||
             replayed.error().code == ErrorCode::kUnsupported));
      CHECK(replayed.error().message.find(path) != std::string::npos);
    }
    write_file(path, good);
  }
  CHECK(segments.read()->frames.size() == 8);
}

TEST_CASE("durability/journal_reader: damage is told with its place and its remedy") {
  Segments segments;
  const std::string good = frame(1, 0, "a");
  std::string bad = frame(2, 1, "b");
  bad.back() = '?';
  segments.write(1, good + bad + frame(3, 2, "c"));
  const auto replayed = segments.read();
  REQUIRE_FALSE(replayed);
  const std::string& message = replayed.error().message;
  CAPTURE(message);
  CHECK(message.find("offset " + std::to_string(kSegmentHeaderBytes + good.size())) !=
        message.npos);
  CHECK(message.find("frame 2") != message.npos);
  CHECK(message.find("engram check --repair " + segments.directory.path()) != message.npos);
}

TEST_CASE("durability/journal_reader: a hole in what was not synced is a torn tail") {
  Segments segments;
  const std::string start = frame(1, 0, "a", filler(100));
  const std::string holed = frame(2, 1, "b", filler(3000));
  const std::string after = frame(3, 1, "c", filler(700));
  const std::size_t first = kSegmentHeaderBytes + start.size();
  const std::size_t end = first + holed.size();
  for (std::size_t sector = 0; sector < end; sector += kSectorBytes) {
    CAPTURE(sector);
    std::string bytes = encode_segment_header(some_id(), 1) + start + holed + after;
    // What of the sector comes after frame 1 had not been synced.
    const std::size_t begin = std::max(sector, first);
    bytes.replace(begin, sector + kSectorBytes - begin, sector + kSectorBytes - begin, '\0');
    write_file(segments.files->segment_path(1), bytes);
    const auto replayed = segments.read();
    if (sector + kSectorBytes <= first) {
      CHECK(replayed->frames.size() == 3);
      continue;
    }
    REQUIRE(replayed);
    CHECK(replayed->frames == Keys{"a"});
    CHECK(replayed->end.torn->offset == first);
  }
}

TEST_CASE("durability/journal_reader: a hole in what was on disk is damage") {
  Segments segments;
  const std::string start = frame(1, 0, "a");
  std::string holed = frame(2, 1, "b", filler(2000));
  holed.replace(500, 1200, 1200, '\0');
  segments.write(1, start + holed + frame(3, 1, "c"));
  CHECK(segments.read()->frames == Keys{"a"});
  segments.write(1, start + holed + frame(3, 1, "c") + frame(4, 2, "d"));
  CHECK_FALSE(segments.read());
  // Its header gone, too.
  holed.replace(0, 1700, 1700, '\0');
  segments.write(1, start + holed + frame(3, 1, "c"));
  CHECK(segments.read()->frames == Keys{"a"});
  segments.write(1, start + holed + frame(3, 2, "c"));
  CHECK_FALSE(segments.read());
}

TEST_CASE("durability/journal_reader: last frames that were on disk are damaged, never torn") {
  Segments segments;
  const std::string header = encode_segment_header(some_id(), 1);
  const std::string first = frame(1, 0, "a", filler(100));
  const std::string whole = header + first + frame(2, 0, "b", filler(3000)) + frame(3, 0, "c");
  const std::string path = segments.files->segment_path(1);
  const auto judge = [&](const std::string& bytes) {
    write_file(path, bytes);
    const auto without_note = [&] {
      REQUIRE(segments.files->disk().remove(segments.files->synced_path()));
      return segments.read();
    }();
    REQUIRE(write_synced_mark(*segments.files, 1));
    const auto up_to_first = segments.read();
    REQUIRE(write_synced_mark(*segments.files, 3));
    const auto up_to_last = segments.read();
    CHECK_FALSE(up_to_last);
    if (!up_to_last) CHECK(up_to_last.error().message.find("on disk") != std::string::npos);
    if (without_note) CHECK(up_to_first.has_value() == !without_note->frames.empty());
    return without_note.has_value();
  };
  for (std::size_t sector = 0; sector < whole.size(); sector += kSectorBytes) {
    CAPTURE(sector);
    std::string bytes = whole;
    const std::size_t begin = std::max(sector, header.size());
    const std::size_t end = std::min(sector + kSectorBytes, bytes.size());
    bytes.replace(begin, end - begin, end - begin, '\0');
    CHECK(judge(bytes));
  }
  for (std::size_t length = 0; length < whole.size(); length += 37) {
    CAPTURE(length);
    CHECK(judge(whole.substr(0, length)));
  }
  CHECK(judge(header + first));
  write_file(path, whole);
  CHECK(segments.read()->frames == Keys{"a", "b", "c"});
}

TEST_CASE("durability/journal: what is on disk is noted at the end, and when nothing happens") {
  for (const bool at_end : {false, true}) {
    StoreFixture store;
    store.open(1, FsyncPolicy::kAlways,
               {.note_after = std::chrono::milliseconds(at_end ? 3'600'000 : 0)});
    store.set("a");
    store.set("b");
    store.await_answers();
    const auto noted = [&] { return read_synced_mark(*store.files)->of(some_id()); };
    if (at_end) {
      CHECK(noted() == 0);
      REQUIRE(store.journal->close());
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (noted() < 2) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::yield();
    }
    CHECK(noted() == 2);
  }
}

TEST_CASE("durability/journal_reader: a note that is foreign or damaged is as if it were not") {
  Segments segments;
  segments.write(1, frame(1, 0, "a") + frame(2, 1, "b").substr(0, 40));
  REQUIRE(write_synced_mark(*segments.files, 2));
  CHECK_FALSE(segments.read());
  const std::string path = segments.files->synced_path();
  const std::string note = read_file(path);
  for (std::size_t byte = 0; byte < note.size(); ++byte) {
    std::string bad = note;
    bad[byte] ^= 4;
    write_file(path, bad);
    CHECK(segments.read());
    write_file(path, note.substr(0, byte));
    CHECK(segments.read());
  }
  segments.files->set_id(some_id(100));
  REQUIRE(write_synced_mark(*segments.files, 2));
  CHECK(segments.read());
}

TEST_CASE("durability/journal_reader: zeros up to the end are a torn tail, other bytes are not") {
  Segments segments;
  const std::string start = frame(1, 0, "a");
  for (const std::size_t zeros : {1U, 31U, 32U, 33U, 600U, 5000U}) {
    CAPTURE(zeros);
    segments.write(1, start + std::string(zeros, '\0'));
    CHECK(segments.read()->frames == Keys{"a"});
    CHECK(segments.read()->end.torn->bytes == zeros);
  }
  segments.write(1, start + filler(100));
  CHECK_FALSE(segments.read());
}

TEST_CASE("durability/journal_reader: text that looks like a frame is not taken for one") {
  Segments segments;
  // A value that holds a frame which claims that all before it was on disk.
  const std::string bait = filler(600) + frame(9, 8, "x") + filler(600);
  const std::string torn = frame(2, 1, "b", bait);
  segments.write(1, frame(1, 0, "a") + torn.substr(0, torn.size() - 10));
  CHECK(segments.read()->frames == Keys{"a"});
}

TEST_CASE("durability/journal_reader: only the newest segment may be torn") {
  Segments segments;
  const std::string second = frame(2, 1, "b");
  segments.write(1, frame(1, 0, "a") + second.substr(0, second.size() - 1));
  segments.write(2, frame(2, 1, "b"));
  CHECK_FALSE(segments.read());
  // What the snapshot covers is not looked at.
  CHECK(segments.read(2)->frames == Keys{"b"});
}

TEST_CASE("durability/journal_reader: a missing segment is damage, in front and in the middle") {
  Segments segments;
  segments.write(1, frame(1, 0, "a"));
  segments.write(2, frame(2, 1, "b"));
  segments.write(3, frame(3, 2, "c"));
  CHECK(segments.read()->frames.size() == 3);
  std::filesystem::remove(segments.files->segment_path(2));
  CHECK_FALSE(segments.read());
  CHECK_FALSE(segments.read(2));
  CHECK(segments.read(3)->frames == Keys{"c"});
  std::filesystem::remove(segments.files->segment_path(1));
  const auto lost = segments.read();
  REQUIRE_FALSE(lost);
  CHECK(lost.error().message.find("frames 1 to 2") != std::string::npos);
}

TEST_CASE(
    "durability/journal_reader: a newest segment without a whole header is as if it were not") {
  Segments segments;
  segments.write(1, frame(1, 0, "a"));
  const std::string path = segments.files->segment_path(2);
  const std::string header = encode_segment_header(some_id(), 2);
  for (const std::string& torn : {std::string(), header.substr(0, 20), std::string(48, '\0')}) {
    write_file(path, torn);
    const auto replayed = segments.read();
    REQUIRE(replayed);
    CHECK(replayed->frames == Keys{"a"});
    CHECK(replayed->end.next == 2);
    CHECK(replayed->end.torn->path == path);
    CHECK(replayed->end.torn->offset == 0);
    REQUIRE(cut(*segments.files, *replayed->end.torn));
    CHECK_FALSE(std::filesystem::exists(path));
  }
  // Frames are written only when the header is on disk.
  write_file(path, std::string(49, '\0'));
  CHECK_FALSE(segments.read());
}

TEST_CASE("durability/journal_reader: a journal that ends before the snapshot goes on behind it") {
  Segments segments;
  segments.write(1, frame(1, 0, "a"));
  const auto replayed = segments.read(5);
  REQUIRE(replayed);
  CHECK(replayed->frames.empty());
  CHECK(replayed->end.next == 5);
}

TEST_CASE("durability/journal_reader: another store and a newer version are refused") {
  Segments segments;
  segments.write(1, frame(1, 0, "a"));
  StoreId other = some_id(100);
  auto refused =
      read_journal(*segments.files, other, 1, [](Lsn, std::string_view) { return Status{}; });
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
  CHECK(refused.error().message.find("another store") != std::string::npos);

  StoreId unknown = {};
  CHECK(read_journal(*segments.files, unknown, 1, [](Lsn, std::string_view) { return Status{}; }));
  CHECK(unknown == some_id());
}

TEST_CASE("durability/journal_reader: an error of the visitor ends the reading") {
  Segments segments;
  segments.write(1, frame(1, 0, "a") + frame(2, 0, "b"));
  StoreId id = some_id();
  int visits = 0;
  const auto ended = read_journal(*segments.files, id, 1, [&](Lsn, std::string_view) -> Status {
    ++visits;
    return fail(ErrorCode::kResourceExhausted, "no memory");
  });
  REQUIRE_FALSE(ended);
  CHECK(visits == 1);
  CHECK(ended.error().code == ErrorCode::kResourceExhausted);
}

TEST_CASE("durability/journal_reader: files of other names are not read") {
  Segments segments;
  segments.write(1, frame(1, 0, "a"));
  for (const char* const name :
       {"journal-2.log", "journal-00000000000000000000.log", "journal-99999999999999999999.log",
        "journal-0000000000000000000x.log", "journal-00000000000000000002.log.cut"}) {
    write_file(segments.directory.path() + "/" + name, "nothing");
  }
  CHECK(segments.read()->frames == Keys{"a"});
}

}  // namespace
}  // namespace engram::test::journal_reader_test
