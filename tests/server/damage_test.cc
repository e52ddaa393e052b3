// SPDX-License-Identifier: Apache-2.0
// Files that are not what was written. A server that is started over them refuses to, or answers
// that a collection is damaged, or answers as if nothing had happened; it never answers wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "tests/server/store_server.h"
#include "tests/support/files.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"
#include "tests/support/temporary_directory.h"

namespace engram::damage_test {
namespace {

using test::Digest;
using test::digest;
using test::Files;
using test::read_files;
using test::request;
using test::RespClient;
using test::StoreServer;
using test::write_files;

/// Without it less is known of the journal's end, which is sound here.
constexpr std::string_view kNote = "engram.synced";

void send_groups(RespClient& client, std::size_t begin, std::size_t end) {
  const auto groups = test::workload();
  for (std::size_t i = begin; i < end; ++i) {
    for (const test::Command& command : groups[i]) {
      client.send(command);
      REQUIRE_FALSE(client.reply().empty());
    }
  }
}

/// A store of a snapshot and a journal, with strings and collections of every primitive in both.
struct Store {
  static constexpr std::size_t kGroups = 15;  // of the workload, up to its first VSAVE
  Files files;
  Digest answers;
  std::vector<Digest> former;  // answers before, from the snapshot on
  std::string journal;         // name of its newest segment

  Store() {
    const test::TemporaryDirectory directory;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      send_groups(client, 0, kGroups);
      REQUIRE(test::await_info(client, "persistence", "rdb_bgsave_in_progress:0"));
      REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
      test::await_one_generation(directory.path());
      former.push_back(digest(client));
      const std::vector<test::Command> later = {
          request({"VADD", "flat", "h", test::packed_vector(70)}),
          request({"VADD", "hnsw", "j", test::packed_vector(71)}),
          request({"VADD", "lsh", "j", test::packed_vector(72)}),
          request({"VDEL", "hnsw", "c"}),
          request({"VTUNE", "mean", "SCALE", "4"}),
          request({"SET", "text", std::string(700, 'x')}),
          request({"APPEND", "lasting", "!"}),
          request({"INCR", "count"}),
      };
      for (const test::Command& command : later) {
        client.send(command);
        REQUIRE(test::is_success(client.reply()));
        former.push_back(digest(client));
      }
      answers = former.back();
    }
    files = read_files(directory.path());
    for (const auto& [name, content] : files) {
      if (name.starts_with("journal-")) journal = name;
    }
    REQUIRE(files.contains("snapshot.engram"));
    REQUIRE_FALSE(journal.empty());
  }
};

const Store& store() {
  static const Store store;
  return store;
}

enum class Verdict { kRefused, kReported, kHarmless, kEarlier, kWrong };

/// Every reply is as it was, or an error that says what is damaged.
Verdict compare(const Digest& found) {
  Verdict verdict = Verdict::kHarmless;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] == store().answers[i]) continue;
    if (!found[i].starts_with("-ERR ")) return Verdict::kWrong;
    if (found[i].find("snapshot") == std::string::npos) return Verdict::kWrong;
    verdict = Verdict::kReported;
  }
  return verdict;
}

Verdict judge(const Files& files) {
  const test::TemporaryDirectory directory;
  write_files(directory.path(), files);
  const auto server = StoreServer::start(directory.path(), posix_file_system());
  if (!server) return server.error().message.size() > 20 ? Verdict::kRefused : Verdict::kWrong;
  RespClient client = (*server)->connect();
  std::string info;
  do {
    info = client.ask({"INFO", "persistence"});
  } while (info.find("snapshot_verification:running") != std::string::npos);
  const Digest found = digest(client);
  const Verdict verdict = compare(found);
  const bool is_sound = info.find("snapshot_verification:verified") != std::string::npos;
  if (verdict == Verdict::kReported && is_sound) return Verdict::kWrong;
  if (verdict != Verdict::kWrong) return verdict;
  const auto& former = store().former;
  const bool existed = std::find(former.begin(), former.end(), found) != former.end();
  return existed ? Verdict::kEarlier : Verdict::kWrong;
}

class Tally {
 public:
  void add(Verdict verdict) { ++counts_[verdict]; }
  std::size_t of(Verdict verdict) { return counts_[verdict]; }
  std::string text() {
    return std::to_string(of(Verdict::kRefused)) + " refused, " +
           std::to_string(of(Verdict::kReported)) + " reported by a collection, " +
           std::to_string(of(Verdict::kHarmless)) + " harmless, " +
           std::to_string(of(Verdict::kEarlier)) + " as of an earlier moment";
  }

 private:
  std::map<Verdict, std::size_t> counts_;
};

/// Positions are spread over all files in the share of their sizes, but each gets some hundreds.
std::uint64_t samples_of(std::size_t bytes, std::size_t all_bytes) {
  constexpr std::uint64_t kSamples = 2000;
  constexpr std::uint64_t kFewest = 300;
  return (kFewest + kSamples * bytes / all_bytes) / test::crash_step();
}

TEST_CASE("server/damage: the store that is damaged below is sound") {
  CHECK(judge(store().files) == Verdict::kHarmless);
}

TEST_CASE("server/damage: a flipped bit is detected or harmless, wherever it is") {
  auto rng = test::make_rng(21);
  std::size_t all_bytes = 0;
  for (const auto& [name, content] : store().files) all_bytes += content.size();
  Tally tally;
  for (const auto& file : store().files) {
    const auto& name = file.first;  // CAPTURE cannot take a structured binding
    const auto& content = file.second;
    if (content.empty()) continue;
    Tally of_file;
    for (std::uint64_t left = samples_of(content.size(), all_bytes); left > 0; --left) {
      Files files = store().files;
      const std::size_t byte = rng() % content.size();
      const auto bit = static_cast<int>(rng() % 8);
      files[name][byte] = static_cast<char>(files[name][byte] ^ (1 << bit));
      const Verdict verdict = judge(files);
      CAPTURE(name);
      CAPTURE(byte);
      CAPTURE(bit);
      CHECK(verdict != Verdict::kWrong);
      CHECK(verdict != Verdict::kEarlier);
      of_file.add(verdict);
    }
    MESSAGE(name << ", " << content.size() << " bytes: " << of_file.text());
  }
}

TEST_CASE("server/damage: a file that was cut short is refused") {
  auto rng = test::make_rng(22);
  for (const auto& file : store().files) {
    const auto& name = file.first;
    const auto& content = file.second;
    if (name == "engram.lock") continue;
    Tally tally;
    for (std::uint64_t i = 0; i < 100; i += test::crash_step()) {
      Files files = store().files;
      files[name].resize(i == 0 ? 0 : rng() % content.size());
      const Verdict verdict = judge(files);
      CAPTURE(name);
      CAPTURE(files[name].size());
      CHECK(verdict == (name == kNote ? Verdict::kHarmless : Verdict::kRefused));
      tally.add(verdict);
    }
    MESSAGE(name << ": " << tally.text());
  }
}

TEST_CASE("server/damage: what was added to a file is noticed") {
  auto rng = test::make_rng(23);
  for (const auto& file : store().files) {
    const auto& name = file.first;
    if (name == "engram.lock") continue;
    Tally tally;
    for (std::uint64_t i = 0; i < 100; i += test::crash_step()) {
      Files files = store().files;
      for (auto left = 1 + rng() % 1000; left > 0; --left) {
        files[name].push_back(i % 2 == 0 ? static_cast<char>(rng()) : '\0');
      }
      const Verdict verdict = judge(files);
      CAPTURE(name);
      CAPTURE(i);
      // Zeros are what a power loss leaves at the journal's end.
      CHECK((verdict == Verdict::kRefused || verdict == Verdict::kHarmless));
      tally.add(verdict);
    }
    MESSAGE(name << ": " << tally.text());
  }
}

TEST_CASE("server/damage: a file that is gone is missed") {
  for (const auto& file : store().files) {
    const auto& name = file.first;
    if (name == "engram.lock") continue;
    Files files = store().files;
    files.erase(name);
    CAPTURE(name);
    CHECK(judge(files) == (name == kNote ? Verdict::kHarmless : Verdict::kRefused));
  }
}

}  // namespace
}  // namespace engram::damage_test
