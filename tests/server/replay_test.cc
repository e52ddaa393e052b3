// SPDX-License-Identifier: Apache-2.0
// A journal that is replayed: over nothing, over the snapshot it goes on from, and over one that
// knows already what it is about to tell. All end in what was, reply for reply and bit for bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/registry.h"
#include "server/durability/change.h"
#include "server/durability/check.h"
#include "server/durability/snapshot_format.h"
#include "server/durability/store_sections.h"
#include "tests/server/store_server.h"
#include "tests/support/files.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"
#include "tests/support/snapshot_text.h"
#include "tests/support/temporary_directory.h"

namespace engram::replay_test {
namespace {

using test::Command;
using test::Digest;
using test::Files;
using test::request;
using test::RespClient;
using test::StoreServer;

using Rng = std::mt19937_64;

constexpr std::size_t kDim = 8;
constexpr std::size_t kKeys = 40;
constexpr int kCues = 5;  // of each index
constexpr std::string_view kSnapshot = "snapshot.engram";
constexpr std::string_view kByTheWall = "flat.fading";

std::string key(std::size_t i) {
  return "k" + std::to_string(i);
}

std::string packed_vector(Rng& rng) {
  return std::string(packed(test::random_vector(kDim, rng)));
}

struct Kept {
  std::string name;
  const Primitive* primitive;
  std::vector<std::string> decay = {};  // words of VNEW; none: it keeps no strengths
};

/// An index of each primitive, under its name, and one with strengths where it takes them; flat has
/// one of each policy.
std::vector<Kept> kept_indexes() {
  std::vector<Kept> kept;
  for (const Primitive* const primitive : primitives()) {
    const std::string name(primitive->name);
    kept.push_back({name, primitive});
    if (!primitive->traits.takes_bias) continue;
    kept.push_back({name + ".fading", primitive, {"exp", "1000"}});
    if (name != "flat") continue;
    kept.push_back({name + ".static", primitive, {"static"}});
    kept.push_back({name + ".exp", primitive, {"exp", "1000"}});
    kept.push_back({name + ".power", primitive, {"power", "0.5"}});
    kept.push_back({name + ".ebb", primitive, {"ebb", "1000"}});
  }
  return kept;
}

/// Whether its writes say when they were.
bool has_at(std::string_view name) {
  // Beside the wall's time, a client's of few seconds would be nothing.
  return name != kByTheWall && !name.ends_with(".static");
}

std::vector<Command> make_indexes(std::string_view metric) {
  std::vector<Command> commands;
  for (const auto& [name, primitive, decay] : kept_indexes()) {
    std::vector<std::string> words = {"VNEW",
                                      name,
                                      std::to_string(kDim),
                                      "METRIC",
                                      std::string(metric),
                                      "PRIMITIVE",
                                      std::string(primitive->name)};
    if (!decay.empty()) {
      words.emplace_back("DECAY");
      words.insert(words.end(), decay.begin(), decay.end());
      words.insert(words.end(), {"OMEGA", "0.5"});
      if (has_at(name)) words.insert(words.end(), {"CLOCK", "logical"});
    }
    commands.push_back(test::request_of(words));
  }
  return commands;
}

/// Few, so that many keys have the same; an empty one removes what there is.
std::string random_attributes(Rng& rng) {
  if (rng() % 4 == 0) return "";
  return R"({"n":)" + std::to_string(rng() % 9) + R"(,"s":["x",{"y":null}]})";
}

/// A put or a touch, perhaps of what a search answers, at any time that the clock shows or a client
/// says.
Command random_strength(Rng& rng, const std::string& name, const std::string& key) {
  std::vector<std::string> words;
  if (rng() % 4 == 0) {
    words = {"VSEARCH", name, packed_vector(rng), "2", "TOUCH", std::to_string(1 + rng() % 9)};
  } else if (rng() % 2 == 0) {
    words = {"VTOUCH", name, key, "GAIN", std::to_string(1 + rng() % 9)};
  } else {
    words = {"VADD", name, key, packed_vector(rng), "STRENGTH", std::to_string(1 + rng() % 9)};
    if (rng() % 2 == 0) words.emplace_back("KEEPSTRENGTH");
    // One that fades unlike others would make reads by the wall differ from one another.
    if (rng() % 4 == 0 && name != kByTheWall) words.emplace_back("PIN");
    if (rng() % 2 == 0 && name.ends_with(".exp") && words.back() != "PIN") {
      words.insert(words.end(), {"HALFLIFE", std::to_string(100 + rng() % 5000)});
    }
    if (rng() % 3 == 0) words.insert(words.end(), {"SETATTR", random_attributes(rng)});
  }
  if (!has_at(name)) return test::request_of(words);
  words.insert(words.end(), {"AT", std::to_string(rng() % 9000)});
  return test::request_of(words);
}

/// So many writes to few keys of each index: puts, overwrites, and one erase in `one_in`, of
/// what may not be there; 0: none.
std::vector<Command> random_writes(Rng& rng, std::size_t count, std::size_t one_in = 4) {
  std::vector<Command> commands;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string chosen = key(rng() % kKeys);
    const bool erases = one_in != 0 && rng() % one_in == 0;
    for (const auto& [name, primitive, decay] : kept_indexes()) {
      if (!decay.empty() && !erases) {
        commands.push_back(random_strength(rng, name, chosen));
      } else {
        commands.push_back(erases ? request({"VDEL", name, chosen})
                                  : request({"VADD", name, chosen, packed_vector(rng)}));
      }
      // Also of keys that are not there, and while their puts are under way.
      if (one_in != 0 && rng() % 4 == 0) {
        const std::string other = rng() % 2 == 0 ? chosen : key(rng() % kKeys);
        commands.push_back(request({"VSETATTR", name, other, random_attributes(rng)}));
      }
    }
  }
  return commands;
}

/// Of every index, some of its items become one; strengths are added up, and prototypes written.
std::vector<Command> consolidate_all(std::string_view metric, bool is_again) {
  std::vector<Command> commands;
  for (const auto& [name, primitive, has_strengths] : kept_indexes()) {
    const bool is_short = metric == "cosine";
    commands.push_back(is_again
                           ? request({"VCONSOLIDATE", name, "RADIUS", is_short ? "0.9" : "2.8",
                                      "KEEP", "medoid", "METHOD", "kmeans"})
                           : request({"VCONSOLIDATE", name, "RADIUS", is_short ? "0.8" : "2.5"}));
  }
  return commands;
}

std::vector<Command> tune_all() {
  std::vector<Command> commands;
  for (const auto& [name, primitive, decay] : kept_indexes()) {
    // The mean takes no sample: tests/server/mean_primitive.cc.
    if (!primitive->traits.recalls || primitive->name == "mean") continue;
    commands.push_back(request({"VTUNE", name, "SAMPLE", "16"}));
  }
  return commands;
}

/// Sends all and leaves none unanswered.
Digest ask_all(RespClient& client, const std::vector<Command>& commands) {
  constexpr std::size_t kPipeline = 64;
  Digest replies;
  for (std::size_t sent = 0; sent < commands.size();) {
    std::string bytes;
    for (; sent < commands.size() && (bytes.empty() || sent % kPipeline != 0); ++sent) {
      bytes += commands[sent];
    }
    client.send(bytes);
    while (replies.size() < sent) replies.push_back(client.reply());
  }
  return replies;
}

void do_all(RespClient& client, const std::vector<Command>& commands) {
  for (const std::string& reply : ask_all(client, commands)) REQUIRE(test::is_success(reply));
}

std::vector<Command> questions(Rng rng) {
  std::vector<Command> commands;
  for (const auto& [name, primitive, decay] : kept_indexes()) {
    for (std::size_t i = 0; i < kKeys; ++i) {
      commands.push_back(request({"VGET", name, key(i)}));
      commands.push_back(request({"VGETATTR", name, key(i)}));
      if (decay.empty()) continue;
      std::vector<std::string> words = {"VSTRENGTH", name, key(i)};
      if (decay.front() != "static") words.insert(words.end(), {"AT", "9000"});
      commands.push_back(test::request_of(words));
    }
    for (int i = 0; i < kCues; ++i) {
      const std::string vector = packed_vector(rng);
      commands.push_back(request({"VSEARCH", name, vector, "100", "EF", "1000"}));
      commands.push_back(request({"VRECALL", name, "VEC", vector, "TOP", "99", "WITHTRACE"}));
    }
  }
  return commands;
}

/// The only errors are those of the recalls by primitives that cannot.
void check_errors(const Digest& answers) {
  const auto all = primitives();
  const auto unable = std::count_if(all.begin(), all.end(), [](const Primitive* primitive) {
    return !primitive->traits.recalls;
  });
  const auto errors = std::count_if(answers.begin(), answers.end(),
                                    [](const auto& answer) { return !test::is_success(answer); });
  REQUIRE(errors == kCues * unable);
}

/// A store with the whole of its journal, and a snapshot that was taken midway.
struct Store {
  Files files;
  std::vector<Command> asked;
  Digest answers;

  explicit Store(Rng& rng, std::string_view metric = "l2", std::size_t one_in = 4) {
    const test::TemporaryDirectory directory;
    Files early;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      do_all(client, make_indexes(metric));
      do_all(client, random_writes(rng, 400, one_in));
      do_all(client, tune_all());
      do_all(client, random_writes(rng, 100, one_in));
      if (one_in != 0) do_all(client, consolidate_all(metric, false));
      early = test::read_files(directory.path());
      do_all(client, {request({"VSAVE"})});
      do_all(client, random_writes(rng, 300, one_in));
      for (const bool is_again : {false, true}) {
        if (one_in != 0) do_all(client, consolidate_all(metric, is_again));
      }
      asked = questions(rng);
      answers = ask_all(client, asked);
      check_errors(answers);
    }
    files = test::read_files(directory.path());
    files.merge(early);  // the segment that the snapshot made superfluous
    REQUIRE(files.contains(std::string(kSnapshot)));
  }

  /// What a server answers that starts over these files.
  Digest replay(const Files& over) const {
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), over);
    const auto server = StoreServer::start(directory.path(), posix_file_system());
    const std::string reason = server ? std::string() : server.error().message;
    CAPTURE(reason);
    REQUIRE(server.has_value());
    RespClient client = (*server)->connect();
    return ask_all(client, asked);
  }

  void check(const Digest& replies) const {
    REQUIRE(replies.size() == answers.size());
    for (std::size_t i = 0; i < replies.size(); ++i) {
      CAPTURE(asked[i]);
      REQUIRE(replies[i] == answers[i]);
    }
  }
};

/// The same snapshot, from which the journal is to be replayed as of its first frame.
std::string replayed_from_the_start(const std::string& snapshot) {
  test::SnapshotParts parts = test::parts_of(snapshot);
  REQUIRE(parts.summary.replay_from > 1);
  parts.summary.replay_from = 1;
  return test::with_parts(snapshot, parts);
}

TEST_CASE("server/replay: a journal, alone or after a snapshot, gives every reply to the bit") {
  Rng rng = test::make_rng(60);
  const Store store(rng);
  store.check(store.replay(store.files));
  Files journal = store.files;
  journal.erase(std::string(kSnapshot));
  store.check(store.replay(journal));
}

/// Each first key is put anew by a replay, because the snapshot has its second vector; and so would
/// come after the second key, of which the snapshot has the only one.
TEST_CASE("server/replay: where order matters, what the snapshot knows ends in its order") {
  Rng rng = test::make_rng(66);
  for (const Primitive* const primitive : primitives()) {
    if (!primitive->traits.order_dependent) continue;
    CAPTURE(primitive->name);
    std::vector<Command> asked;
    for (int i = 0; i < kCues; ++i) {
      asked.push_back(
          request({"VRECALL", "i", "VEC", packed_vector(rng), "TOP", "99", "WITHTRACE"}));
    }
    const test::TemporaryDirectory directory;
    Files early;
    Digest answers;
    {
      const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
      RespClient client = server->connect();
      do_all(client, {request({"VNEW", "i", std::to_string(kDim), "PRIMITIVE",
                               std::string(primitive->name)})});
      for (std::size_t i = 0; i < 12; i += 2) {
        do_all(client, {request({"VADD", "i", key(i), packed_vector(rng)}),
                        request({"VADD", "i", key(i), packed_vector(rng)}),
                        request({"VADD", "i", key(i + 1), packed_vector(rng)})});
      }
      early = test::read_files(directory.path());
      do_all(client, {request({"VSAVE"})});
      answers = ask_all(client, asked);
    }
    Files files = test::read_files(directory.path());
    files.merge(early);
    std::string& snapshot = files.at(std::string(kSnapshot));
    snapshot = replayed_from_the_start(snapshot);
    const test::TemporaryDirectory again;
    test::write_files(again.path(), files);
    const auto server = StoreServer::start(again.path(), posix_file_system());
    REQUIRE(server.has_value());
    RespClient client = (*server)->connect();
    CHECK(ask_all(client, asked) == answers);
  }
}

TEST_CASE("server/replay: a journal may tell what the snapshot knows, and knows the end of") {
  Rng rng = test::make_rng(61);
  for (const std::string_view metric : {"l2", "cosine"}) {
    const Store store(rng, metric);
    Files files = store.files;
    std::string& snapshot = files.at(std::string(kSnapshot));
    snapshot = replayed_from_the_start(snapshot);
    store.check(store.replay(files));
  }
}

TEST_CASE("server/replay: a snapshot taken beside writes is made whole by the journal") {
  Rng rng = test::make_rng(62);
  const test::TemporaryDirectory directory;
  std::vector<Command> asked;
  Digest answers;
  for (int life = 0; life < 4; ++life) {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    if (life > 0) REQUIRE(ask_all(client, asked) == answers);
    if (life == 0) do_all(client, make_indexes("l2"));
    if (life == 0) do_all(client, random_writes(rng, 100));
    std::vector<Command> commands = random_writes(rng, 200);
    commands.insert(commands.begin() + 100, request({"BGSAVE"}));
    do_all(client, commands);
    if (life == 0) do_all(client, tune_all());
    REQUIRE(test::await_info(client, "persistence", "rdb_bgsave_in_progress:0"));
    asked = questions(rng);
    answers = ask_all(client, asked);
  }
}

/// A snapshot waits for the inserts under way when it is asked for; its LSN does not.
TEST_CASE(
    "server/replay: an index that is renamed while a snapshot begins is replayed to its end") {
  Rng rng = test::make_rng(64);
  const test::TemporaryDirectory directory;
  const std::vector<Command> asked = {request({"VGET", "b", key(0)}),
                                      request({"VGET", "b", key(1)}),
                                      request({"VGET", "c", key(0)}),
                                      request({"EXISTS", "a", "b", "c", "d"}),
                                      request({"EXISTS", "x", "y", "z"}),
                                      request({"VGET", "d", key(0)}),
                                      request({"VADD", "a", "k", packed_vector(rng)})};
  Digest answers;
  {
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    const auto vnew = [](std::string_view name) {
      return request({"VNEW", name, std::to_string(kDim), "METRIC", "l2", "PRIMITIVE", "flat"});
    };
    do_all(client,
           {vnew("x"), vnew("y"), vnew("b"), vnew("c"), vnew("d"), request({"SET", "e", "1"})});
    for (const std::string_view name : {"x", "y", "b", "d"}) {
      do_all(client, {request({"VADD", name, key(0), packed_vector(rng)})});
    }
    // At once, so that nobody learns of the insert's end before the last of them.
    do_all(client, {request({"VADD", "x", key(1), packed_vector(rng)}), request({"BGSAVE"}),
                    request({"DEL", "b"}), request({"RENAME", "x", "b"}),  //
                    request({"RENAME", "y", "c"}),             // in the place of another
                    vnew("z"), request({"RENAME", "z", "a"}),  // unknown to the snapshot
                    request({"RENAME", "d", "f"}), request({"RENAME", "e", "d"}),
                    request({"RENAME", "d", "e"}), request({"RENAME", "f", "d"})});
    REQUIRE(test::await_info(client, "persistence", "rdb_bgsave_in_progress:0"));
    answers = ask_all(client, asked);
    REQUIRE(answers[3] == ":4\r\n");
    REQUIRE(answers[4] == ":0\r\n");
  }
  const auto server = StoreServer::start(directory.path(), posix_file_system());
  REQUIRE(server.has_value());
  RespClient client = (*server)->connect();
  const Digest replayed = ask_all(client, asked);
  for (std::size_t i = 0; i + 1 < asked.size(); ++i) {
    CAPTURE(asked[i]);
    CHECK(replayed[i] == answers[i]);
  }
  CHECK(client.ask({"INFO", "persistence"}).find("damaged_indexes") == std::string::npos);
  CHECK(client.ask({"VGET", "a", "k"}).starts_with("$32\r\n"));
}

/// Every key that the journal put, whatever has become of what it says later.
TEST_CASE("server/replay: after a repair that loses frames every key is there") {
  Rng rng = test::make_rng(63);
  const Store store(rng, "l2", 0);
  const std::string first = "journal-00000000000000000001.log";
  for (int share = 3; share < 10; ++share) {
    CAPTURE(share);
    Files files{
        {first, store.files.at(first)},
        {std::string(kSnapshot), replayed_from_the_start(store.files.at(std::string(kSnapshot)))}};
    std::string& journal = files.at(first);
    journal[journal.size() * static_cast<std::size_t>(share) / 10] ^= 1;
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), files);
    const auto report = check_store(posix_file_system(), directory.path(), true);
    REQUIRE(report.has_value());
    REQUIRE_FALSE(report->damaged);
    const auto server = StoreServer::start(directory.path(), posix_file_system());
    REQUIRE(server.has_value());
    RespClient client = (*server)->connect();
    for (const Kept& kept : kept_indexes()) {
      if (!kept.decay.empty()) continue;  // not every write to these is a put
      for (std::size_t i = 0; i < kKeys; ++i) {
        CAPTURE(kept.name);
        CAPTURE(i);
        REQUIRE(client.ask({"VGET", kept.name, key(i)}).starts_with("$32\r\n"));
      }
    }
  }
}

/// The bytes of every section of a collection, by owner and name.
std::map<std::string, std::string> sections_of(const std::string& snapshot) {
  std::map<std::string, std::string> sections;
  for (const SnapshotEntry& entry : test::parts_of(snapshot).summary.entries) {
    if (entry.owner == kStoreOwner) continue;
    sections[std::to_string(entry.owner) + " " + entry.name] =
        snapshot.substr(entry.offset, entry.length);
  }
  return sections;
}

TEST_CASE("server/replay: two replays of one journal give the same of each item, byte for byte") {
  Rng rng = test::make_rng(64);
  const Store store(rng);
  Files journal = store.files;
  journal.erase(std::string(kSnapshot));
  std::vector<std::map<std::string, std::string>> replayed;
  for (int replay = 0; replay < 2; ++replay) {
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), journal);
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    store.check(ask_all(client, store.asked));
    do_all(client, {request({"VSAVE"})});
    auto sections = sections_of(test::read_files(directory.path()).at(std::string(kSnapshot)));
    std::erase_if(sections, [](const auto& section) {
      const auto of_items = {" strengths", " attributes", " keys"};
      return std::none_of(of_items.begin(), of_items.end(),
                          [&](auto* name) { return section.first.ends_with(name); });
    });
    replayed.push_back(std::move(sections));
  }
  CHECK(replayed[0].size() > 8);
  CHECK(replayed[0] == replayed[1]);
}

}  // namespace
}  // namespace engram::replay_test
