// SPDX-License-Identifier: Apache-2.0
// A store on a faulty disk, and its journal as a list of what was written.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/journal.h"
#include "server/durability/journal_reader.h"
#include "server/durability/store_files.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace engram::test {

inline StoreId some_id(unsigned seed = 7) {
  StoreId id;
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<std::byte>(seed + i);
  return id;
}

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view bytes);

/// What the frames of a journal held: the keys of its SetString changes, and "-" for others,
/// joined by commas.
struct Replay {
  std::vector<std::string> frames;
  JournalEnd end;
};

/// Reads the journal of a store.
Result<Replay> replay(const StoreFiles& files, Lsn from = 1, StoreId id = some_id());

/// Stands in for the event loop's wake-up descriptor.
class WakeUps {
 public:
  std::function<void()> callback() {
    return [this] {
      const std::lock_guard lock(mutex_);
      ++count_;
      arrived_.notify_all();
    };
  }

  /// Returns when `condition` holds, which is asked for after each wake-up.
  template <class Condition>
  void await(Condition condition) {
    std::uint64_t seen = 0;
    while (!condition()) {
      std::unique_lock lock(mutex_);
      const bool woken = arrived_.wait_for(lock, std::chrono::seconds(60),
                                           [&] { return count_ > std::exchange(seen, count_); });
      REQUIRE_MESSAGE(woken, "no wake-up came within a minute");
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::uint64_t count_ = 0;
};

/// A directory with a store. Members may be used in any order; the journal is opened by open().
struct StoreFixture {
  StoreFixture() { lock(); }

  /// (Re)opens the directory, as a new process would.
  void lock() {
    files.reset();
    auto opened = StoreFiles::open(disk, directory.path());
    REQUIRE(opened.has_value());
    files = std::move(*opened);
    files->set_id(some_id());
  }

  void open(Lsn next = 1, FsyncPolicy policy = FsyncPolicy::kAlways, JournalOptions options = {}) {
    auto opened = Journal::open(*files, next, policy, wake_ups.callback(), options);
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().message));
    journal = std::move(*opened);
  }

  /// Records one frame that sets one key. Returns its LSN.
  Lsn set(std::string_view key, std::string_view value = "value") {
    journal->record(SetString{key, kNeverExpires, value});
    return journal->seal();
  }

  /// Returns when the policy allows to acknowledge all.
  void await_answers() {
    wake_ups.await([this] { return journal->answerable() == journal->last(); });
  }

  std::string segment(Lsn first) const { return files->segment_path(first); }

  TemporaryDirectory directory;
  FaultyFileSystem disk;
  std::unique_ptr<StoreFiles> files;
  WakeUps wake_ups;
  std::unique_ptr<Journal> journal;
};

}  // namespace engram::test
