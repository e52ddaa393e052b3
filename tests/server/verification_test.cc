// SPDX-License-Identifier: Apache-2.0
// Damage that the verifier has not come to yet. Whatever is answered (a vector, a distance, an
// energy) is what was stored; else the answer is an error that names the index.
#include <doctest/doctest.h>

#include <pthread.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/file_system.h"
#include "server/durability/snapshot_format.h"
#include "server/durability/store_files.h"
#include "tests/server/store_server.h"
#include "tests/support/files.h"
#include "tests/support/resp_client.h"
#include "tests/support/seed.h"
#include "tests/support/snapshot_text.h"
#include "tests/support/temporary_directory.h"

namespace engram::verification_test {
namespace {

using test::Command;
using test::Digest;
using test::Files;
using test::request;
using test::RespClient;
using test::StoreServer;

constexpr int kItems = 2000;
constexpr int kDim = 64;  // rows of 256 bytes: eight blocks
constexpr std::uint64_t kBadId = 2;

std::string key(int number) {
  return "k" + std::to_string(number);
}

std::string vector_of(int seed) {
  std::mt19937 rng(static_cast<unsigned>(seed));
  std::string packed;
  for (int i = 0; i < kDim; ++i) {
    const float value = static_cast<float>(rng() % 2001) / 1000.0F - 1.0F;
    packed.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return packed;
}

std::string vsearch(std::string_view index, int seed) {
  return request({"VSEARCH", index, vector_of(seed), "10"});
}

/// Questions whose answers depend on rows and structure of the index.
std::vector<Command> questions(std::string_view index, bool recalls) {
  std::vector<Command> commands;
  for (int i = 0; i < kItems; i += 97) commands.push_back(request({"VGET", index, key(i)}));
  commands.push_back(request({"VGET", index, key(kItems - 1)}));
  for (int i = 0; i < 10; ++i) commands.push_back(vsearch(index, 10'000 + i));
  if (recalls) {
    commands.push_back(request({"VRECALL", index, "VEC", vector_of(1), "TOP", "5"}));
    commands.push_back(request({"VENERGY", index, vector_of(2)}));
    commands.push_back(request({"VDIAG", index, "SAMPLE", "16"}));
  }
  return commands;
}

/// A disk whose snapshots the verifier cannot read until it is let go of, and of which a range may
/// be a bad sector.
class SlowDisk final : public FileSystem {
 public:
  struct BadSector {
    std::uint64_t begin;
    std::uint64_t end;
  };

  ~SlowDisk() override { release_verifier(); }
  SlowDisk() = default;
  SlowDisk(const SlowDisk&) = delete;
  SlowDisk& operator=(const SlowDisk&) = delete;

  void set_bad_sector(BadSector sector) { bad_sector_ = sector; }
  /// The most that was asked for between one read and the next.
  int most_requested_at_once() const { return most_requested_; }
  void release_verifier() {
    const std::lock_guard lock(mutex_);
    is_released_ = true;
    released_.notify_all();
  }

  Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string& path) override {
    auto file = real_.open_for_reading(path);
    if (!file || !path.ends_with(kSnapshotName)) return file;
    return std::make_unique<File>(*this, std::move(*file));
  }
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    return real_.create(path);
  }
  Result<std::unique_ptr<WritableFile>> open_for_append(const std::string& path) override {
    return real_.open_for_append(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    return real_.rename(from, to);
  }
  Status remove(const std::string& path) override { return real_.remove(path); }
  Result<std::vector<std::string>> list(const std::string& directory) override {
    return real_.list(directory);
  }
  Status sync_directory(const std::string& directory) override {
    return real_.sync_directory(directory);
  }
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override {
    return real_.lock(path);
  }

 private:
  class File final : public ReadableFile {
   public:
    File(SlowDisk& disk, std::unique_ptr<ReadableFile> real)
        : ReadableFile(real->path(), real->size()), disk_(disk), real_(std::move(real)) {}
    int try_read(std::uint64_t offset, std::span<std::byte> bytes) const noexcept override {
      std::array<char, 16> name{};
      ::pthread_getname_np(::pthread_self(), name.data(), name.size());
      if (std::string_view(name.data()) == "verifier") disk_.await_release();
      disk_.requested_ = 0;
      const auto& bad = disk_.bad_sector_;
      if (bad && offset < bad->end && offset + bytes.size() > bad->begin) return EIO;
      return real_->try_read(offset, bytes);
    }
    void will_read(std::uint64_t offset, std::uint64_t bytes) const noexcept override {
      disk_.note_request();
      real_->will_read(offset, bytes);
    }
    Status place(std::uint64_t offset, std::size_t length, std::byte* address) const override {
      return real_->place(offset, length, address);
    }

   private:
    SlowDisk& disk_;
    const std::unique_ptr<ReadableFile> real_;
  };

  void note_request() noexcept {
    const int requested = ++requested_;
    if (requested > most_requested_) most_requested_ = requested;
  }
  void await_release() {
    std::unique_lock lock(mutex_);
    released_.wait(lock, [this] { return is_released_; });
  }

  FileSystem& real_ = posix_file_system();
  std::optional<BadSector> bad_sector_;
  std::atomic<int> requested_ = 0;  // since the last read
  std::atomic<int> most_requested_ = 0;
  std::mutex mutex_;
  std::condition_variable released_;
  bool is_released_ = false;
};

/// Two indexes alike in a snapshot, and what they answer.
struct TwoIndexes {
  explicit TwoIndexes(std::string_view primitive, bool has_recaller) : recalls(has_recaller) {
    const test::TemporaryDirectory directory;
    const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
    RespClient client = server->connect();
    for (const std::string_view index : {"able", "bad"}) {
      REQUIRE(client.ask({"VNEW", index, std::to_string(kDim), "METRIC", "l2", "PRIMITIVE",
                          primitive}) == "+OK\r\n");
      for (int i = 0; i < kItems; ++i) {
        client.send(request({"VADD", index, key(i), vector_of(i)}));
      }
      for (int i = 0; i < kItems; ++i) REQUIRE(client.reply() == ":1\r\n");
    }
    REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
    test::await_one_generation(directory.path());
    good = ask(client, "able");
    bad = ask(client, "bad");
    files = test::read_files(directory.path());
  }

  Digest ask(RespClient& client, std::string_view index) const {
    Digest replies;
    for (const Command& question : questions(index, recalls)) {
      client.send(question);
      replies.push_back(client.reply());
    }
    return replies;
  }

  /// The large sections of "bad", which are placed.
  std::vector<SnapshotEntry> placed() const {
    auto entries = test::parts_of(files.at(std::string(kSnapshotName))).summary.entries;
    std::erase_if(entries, [](const SnapshotEntry& entry) {
      return entry.owner != kBadId || entry.length <= kSnapshotBlockBytes;
    });
    REQUIRE_FALSE(entries.empty());
    return entries;
  }

  /// Asks a server over `changed` files, whose verifier waits. True if "bad" answered an error.
  bool check(const Files& changed, std::optional<SlowDisk::BadSector> sector = {}) const {
    const test::TemporaryDirectory directory;
    test::write_files(directory.path(), changed);
    SlowDisk disk;
    if (sector) disk.set_bad_sector(*sector);
    const auto server = std::move(*StoreServer::start(directory.path(), disk));
    RespClient client = server->connect();
    const Digest replies = ask(client, "bad");
    bool reported = false;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      CAPTURE(i);
      CAPTURE(replies[i].substr(0, 200));
      const bool is_error = replies[i].starts_with("-ERR index 'bad'");
      if (is_error) CHECK(replies[i].find("snapshot.engram") != std::string::npos);
      CHECK((is_error || (replies[i] == bad[i] && !reported)));
      reported = reported || is_error;
    }
    CHECK(ask(client, "able") == good);
    disk.release_verifier();
    CHECK(test::await_info(client, "persistence", "snapshot_verification:failed"));
    CHECK(test::await_info(client, "persistence", "damaged_indexes:bad"));
    CHECK(client.ask({"VGET", "bad", "k1"}).starts_with("-ERR index 'bad'"));
    CHECK_FALSE(test::is_success(client.ask({"VSAVE"})));
    CHECK(ask(client, "able") == good);
    return reported;
  }

  const bool recalls;
  Digest good;
  Digest bad;
  Files files;
};

struct Kind {
  const char* primitive;
  bool recalls;
};

TEST_CASE("server/verification: nothing that depends on a damaged block is answered") {
  auto rng = test::make_rng(75);
  for (const Kind& kind : {Kind{"flat", true}, {"hnsw", true}, {"lsr", true}, {"drdam", true}}) {
    const TwoIndexes store(kind.primitive, kind.recalls);
    for (const SnapshotEntry& entry : store.placed()) {
      CAPTURE(kind.primitive);
      CAPTURE(entry.name);
      Files files = store.files;
      const std::size_t at = entry.offset + rng() % entry.length;
      files[std::string(kSnapshotName)][at] ^= static_cast<char>(1 << rng() % 8);
      CAPTURE(at);
      const bool reported = store.check(files);
      if (entry.name == "store.rows") CHECK(reported);  // VDIAG or a scan has met it
    }
  }
}

TEST_CASE("server/verification: a bad sector costs the index that it lies in") {
  const TwoIndexes store("flat", true);
  for (const SnapshotEntry& entry : store.placed()) {
    CAPTURE(entry.name);
    const std::uint64_t at = entry.offset + entry.length / 2;
    CHECK(store.check(store.files, SlowDisk::BadSector{at, at + 512}));
  }
}

TEST_CASE("server/verification: a walk asks for all blocks of a step before it waits for one") {
  const TwoIndexes store("hnsw", true);
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store.files);
  const Command narrow = request({"VSEARCH", "able", vector_of(10'000), "5", "EF", "10"});
  SlowDisk disk;
  const auto server = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = server->connect();
  client.send(narrow);
  const std::string cold = client.reply();
  CHECK(disk.most_requested_at_once() >= 3);  // of the eight of its rows
  disk.release_verifier();
  REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
  client.send(narrow);
  CHECK(client.reply() == cold);
}

TEST_CASE("server/verification: a snapshot that is cut short under a server costs what it held") {
  const TwoIndexes store("flat", true);
  const test::TemporaryDirectory directory;
  test::write_files(directory.path(), store.files);
  const auto server = std::move(*StoreServer::start(directory.path(), posix_file_system()));
  RespClient client = server->connect();
  REQUIRE(test::await_info(client, "persistence", "snapshot_verification:verified"));
  REQUIRE(client.ask({"SET", "text", "value"}) == "+OK\r\n");
  CHECK(store.ask(client, "bad") == store.bad);
  const SnapshotEntry rows = store.placed().front();
  std::filesystem::resize_file(directory.path() + "/" + std::string(kSnapshotName), rows.offset);
  for (const std::string& reply : store.ask(client, "bad")) {
    CHECK(reply.starts_with("-ERR index 'bad'"));
  }
  CHECK(client.ask({"VSAVE"}).starts_with("-ERR index 'bad'"));
  CHECK(client.ask({"GET", "text"}) == "$5\r\nvalue\r\n");
  REQUIRE(client.ask({"VDROP", "bad"}) == "+OK\r\n");
  REQUIRE(client.ask({"VSAVE"}) == "+OK\r\n");
  CHECK(store.ask(client, "able") == store.good);
}

}  // namespace
}  // namespace engram::verification_test
