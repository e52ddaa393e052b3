// SPDX-License-Identifier: Apache-2.0
// A transaction and the journal: all of its changes are one frame, and no snapshot comes between.
#include <doctest/doctest.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "core/registry.h"
#include "server/engine/collection.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"
#include "tests/support/files.h"
#include "tests/support/temporary_directory.h"

namespace engram::transaction_frame_test {
namespace {

class TestLoop final : public StoreLoop {
 public:
  void wake() override {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
    woken_.notify_one();
  }
  void wait() override {
    std::unique_lock lock(mutex_);
    woken_.wait(lock, [this] { return is_woken_; });
    is_woken_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;
};

/// A store without a server, whose turns are the test's.
class OpenStore {
 public:
  explicit OpenStore(const std::string& directory) {
    store_ = std::move(
        *Store::open({.directory = directory, .fsync = FsyncPolicy::kAlways, .workers = 1}, loop_));
  }

  Keyspace& keyspace() { return store_->keyspace(); }
  Persistence& persistence() { return *store_->persistence(); }
  WorkerPool& workers() { return store_->workers(); }

  void turn() {
    store_->collect();
    persistence().seal();
    persistence().poll();
  }
  template <class Condition>
  void turn_until(Condition is_met) {
    for (turn(); !is_met(); turn()) loop_.wait();
  }

  void set(std::string_view key) { keyspace().set(key, std::string("value")); }

 private:
  TestLoop loop_;
  std::unique_ptr<Store> store_;
};

/// What a store finds that is opened over a copy of these files now: the keys there are.
std::string keys_after_crash(const std::string& directory) {
  test::Files files = test::read_files(directory);
  files.erase(std::string(kLockName));
  files.erase(std::string(kUnfinishedSnapshotName));
  const test::TemporaryDirectory copy;
  test::write_files(copy.path(), files);
  OpenStore store(copy.path());
  std::string keys;
  for (const char* const key : {"a", "b", "c", "d"}) {
    if (store.keyspace().contains(key)) keys += key;
  }
  return keys;
}

TEST_CASE("engine/persistence: a transaction is replayed whole or not at all") {
  const test::TemporaryDirectory directory;
  OpenStore store(directory.path());
  Persistence& persistence = store.persistence();
  store.set("a");
  const Lsn first = persistence.seal();
  persistence.begin_transaction();
  store.set("b");
  CHECK(persistence.seal() == 0);
  store.turn_until([&] { return persistence.poll() >= first; });
  store.set("c");
  CHECK(persistence.seal() == 0);
  CHECK(keys_after_crash(directory.path()) == "a");
  const Lsn last = persistence.end_transaction();
  CHECK(last == first + 1);
  store.turn_until([&] { return persistence.poll() >= last; });
  CHECK(keys_after_crash(directory.path()) == "abc");
  persistence.begin_transaction();
  CHECK(persistence.end_transaction() == 0);
}

TEST_CASE("engine/persistence: a transaction that never ends is never written") {
  const test::TemporaryDirectory directory;
  {
    OpenStore store(directory.path());
    store.set("a");
    store.turn();
    store.persistence().begin_transaction();
    store.set("b");
    store.turn();
  }
  CHECK(keys_after_crash(directory.path()) == "a");
}

TEST_CASE("engine/persistence: a snapshot that is asked for in a transaction is taken after it") {
  const test::TemporaryDirectory directory;
  OpenStore store(directory.path());
  Persistence& persistence = store.persistence();
  store.set("a");
  const Lsn first = persistence.seal();
  persistence.begin_transaction();
  store.set("b");
  std::optional<Status> saved;
  REQUIRE(persistence.save([&](const Status& status) { saved = status; }).has_value());
  CHECK(persistence.is_saving());
  persistence.set_policy(FsyncPolicy::kNo);
  store.turn_until([&] { return persistence.poll() >= first; });
  store.set("c");
  CHECK(keys_after_crash(directory.path()) == "a");
  CHECK(persistence.facts().policy == FsyncPolicy::kAlways);
  persistence.end_transaction();
  CHECK(persistence.facts().policy == FsyncPolicy::kNo);
  store.turn_until([&] { return saved.has_value(); });
  CHECK(saved->has_value());
  CHECK(keys_after_crash(directory.path()) == "abc");
}

TEST_CASE("engine/persistence: a snapshot that is being taken waits for the transaction's frame") {
  const test::TemporaryDirectory directory;
  OpenStore store(directory.path());
  Persistence& persistence = store.persistence();
  store.set("a");
  const Lsn first = persistence.seal();
  std::optional<Status> saved;
  REQUIRE(persistence.save([&](const Status& status) { saved = status; }).has_value());
  persistence.begin_transaction();
  store.set("b");
  for (int turns = 0; turns < 200; ++turns) {  // the other thread comes as far as it can
    store.turn();
    std::this_thread::yield();
    REQUIRE_FALSE(saved.has_value());
  }
  store.turn_until([&] { return persistence.poll() >= first; });
  store.set("c");
  CHECK(keys_after_crash(directory.path()) == "a");
  persistence.end_transaction();
  store.turn_until([&] { return saved.has_value(); });
  CHECK(saved->has_value());
  CHECK(keys_after_crash(directory.path()) == "abc");
}

TEST_CASE("engine/collection: the version rises when a change begins and when it has ended") {
  const test::TemporaryDirectory directory;
  OpenStore store(directory.path());
  const Primitive* const flat = *find_primitive("flat");
  const auto collection =
      std::move(*Collection::create({.dim = 2,
                                     .metric = Metric::kL2,
                                     .primitive = flat,
                                     .options = Options(flat->create_options)},
                                    {.workers = store.workers(), .id = 1, .hash_seed = 7}));
  const auto check_rises = [&](const auto& start) {
    const std::uint64_t before = collection->version();
    bool has_ended = false;
    start([&] { has_ended = true; });
    const std::uint64_t begun = collection->version();
    CHECK(begun > before);
    store.turn_until([&] { return has_ended; });
    CHECK(collection->version() > begun);
  };
  check_rises([&](const auto& done) {
    PutBatch batch(collection);
    REQUIRE(batch.add("k", std::vector<float>{1, 2}).has_value());
    CHECK(collection->version() == 0);
    batch.commit([done](const auto&) { done(); });
  });
  check_rises([&](const auto& done) { collection->erase("k", [done](bool) { done(); }); });
  check_rises([&](const auto& done) { REQUIRE(collection->tune({}, done).has_value()); });
}

}  // namespace
}  // namespace engram::transaction_frame_test
