// SPDX-License-Identifier: Apache-2.0
// A store in this process, spoken to as a server is: the door of RESP lives on the store's thread,
// and bytes go to and from it through two strings.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/doors/resp/resp_door.h"
#include "server/durability/file_system.h"
#include "server/durability/store_files.h"
#include "server/hosts/cli/place.h"
#include "server/hosts/embedded/no_front_end.h"
#include "server/hosts/embedded/store_thread.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

/// Between the thread that asks and the store's.
struct Mailbox {
  std::mutex mutex;
  std::condition_variable answered;
  std::string requests;
  std::string replies;
  bool is_closed = false;  ///< nothing more is answered
};

/// What a start has to read.
struct JournalSize {
  std::size_t segments = 0;
  std::uint64_t bytes = 0;
  std::uint64_t snapshot_bytes = 0;

  static JournalSize of(const std::string& directory) {
    JournalSize size;
    const auto names = posix_file_system().list(directory);
    if (!names) return size;
    for (const std::string& name : *names) {
      struct stat status {};
      std::string path = directory;
      path.append("/").append(name);
      if (::stat(path.c_str(), &status) != 0) continue;
      const auto bytes = static_cast<std::uint64_t>(status.st_size);
      if (name == kSnapshotName) size.snapshot_bytes = bytes;
      if (!segment_lsn(name)) continue;
      ++size.segments;
      size.bytes += bytes;
    }
    return size;
  }

  /// Every command that changes something leaves a segment.
  [[nodiscard]] bool is_excessive(std::chrono::steady_clock::duration start) const noexcept {
    constexpr std::size_t kManySegments = 64;
    constexpr std::size_t kTooManySegments = 1024;
    constexpr std::uint64_t kManyBytes = 1UL << 20;
    const bool is_slow = start > std::chrono::seconds(1) && bytes >= kManyBytes;
    const bool is_worth_it = segments > kManySegments && 2 * bytes >= snapshot_bytes;
    return is_slow || is_worth_it || segments > kTooManySegments;
  }
};

class ResidentDoor final : public StoreResident {
 public:
  ResidentDoor(Store& store, Sessions& sessions, ServerStats& stats, StoreThread& thread,
               Mailbox& mailbox)
      : thread_(thread),
        mailbox_(mailbox),
        services_{store, config_, stats, front_end_, sessions, sessions, command_table()},
        door_(sessions, services_, [this] { thread_.request_turn(); }) {}
  ~ResidentDoor() override {
    const std::lock_guard lock(mailbox_.mutex);
    mailbox_.is_closed = true;
    mailbox_.answered.notify_one();
  }

  void execute() override {
    take_requests();
    bool has_fed = true;
    while (has_fed) {
      has_fed = feed();
      door_.execute();
    }
    if (door_.can_continue()) thread_.request_turn();
  }

  void deliver() override {
    std::string replies;
    while (!door_.unsent().empty()) {
      const std::string_view bytes = door_.unsent();
      replies.append(bytes);
      door_.mark_sent(bytes.size());
    }
    if (door_.can_continue()) thread_.request_turn();
    const bool is_closed = door_.finished();
    if (replies.empty() && !is_closed) return;
    const std::lock_guard lock(mailbox_.mutex);
    mailbox_.replies.append(replies);
    mailbox_.is_closed = is_closed;
    mailbox_.answered.notify_one();
  }

 private:
  void take_requests() {
    if (fed_ == requests_.size()) {
      requests_.clear();
      fed_ = 0;
    }
    const std::lock_guard lock(mailbox_.mutex);
    if (requests_.empty()) {
      requests_.swap(mailbox_.requests);
    } else {
      requests_.append(std::exchange(mailbox_.requests, {}));
    }
  }

  /// False: the door takes no more for now, or there is no more.
  bool feed() {
    if (fed_ == requests_.size() || !door_.takes_input()) return false;
    const std::span<char> room = door_.input_room();
    const std::size_t count = std::min(room.size(), requests_.size() - fed_);
    std::memcpy(room.data(), requests_.data() + fed_, count);
    door_.add_input(count);
    fed_ += count;
    return count != 0;
  }

  StoreThread& thread_;
  Mailbox& mailbox_;
  ServerConfig config_;
  NoFrontEnd front_end_;
  Services services_;
  std::string requests_;
  std::size_t fed_ = 0;  // of them, to the door
  RespDoor door_;
};

class DirectoryPlace final : public Place {
 public:
  DirectoryPlace() = default;
  ~DirectoryPlace() override { [[maybe_unused]] const Status ended = end(); }

  Status open(const std::string& directory) {
    const JournalSize journal = JournalSize::of(directory);
    const auto begin = std::chrono::steady_clock::now();
    auto thread = StoreThread::start(
        {.directory = directory}, {},
        [this](Store& store, Sessions& sessions, ServerStats& stats, StoreThread& owner) {
          return std::make_unique<ResidentDoor>(store, sessions, stats, owner, mailbox_);
        });
    if (!thread) return tl::unexpected(std::move(thread.error()));
    thread_ = std::move(*thread);
    wants_snapshot_ = journal.is_excessive(std::chrono::steady_clock::now() - begin);
    return {};
  }

  Status send(std::string_view bytes) override {
    {
      const std::lock_guard lock(mailbox_.mutex);
      if (mailbox_.is_closed) return closed();
      mailbox_.requests.append(bytes);
    }
    thread_->request_turn();
    return {};
  }

  Status receive(std::string& replies) override {
    std::unique_lock lock(mailbox_.mutex);
    mailbox_.answered.wait(lock, [&] { return !mailbox_.replies.empty() || mailbox_.is_closed; });
    if (mailbox_.replies.empty()) return closed();
    replies.append(std::exchange(mailbox_.replies, {}));
    return {};
  }

  Status end() override { return thread_ ? thread_->close() : Status(); }

  [[nodiscard]] bool is_directory() const noexcept override { return true; }
  [[nodiscard]] bool wants_snapshot() const noexcept override { return wants_snapshot_; }

 private:
  static Status closed() { return fail(ErrorCode::kIo, "the store has ended"); }

  Mailbox mailbox_;  // outlives the thread
  std::unique_ptr<StoreThread> thread_;
  bool wants_snapshot_ = false;
};

Status make_directory(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0777) == 0 || errno == EEXIST) return {};
  return fail(ErrorCode::kIo,
              "cannot make the directory " + directory + ": " + std::string(std::strerror(errno)));
}

}  // namespace

Result<std::unique_ptr<Place>> open_directory_place(const std::string& directory, bool makes_it) {
  if (makes_it) ENGRAM_TRY(make_directory(directory));
  const auto path = directory_path(directory);
  if (!path) {
    return fail(ErrorCode::kNotFound, "cannot open the directory " + directory + ": " +
                                          path.error().message + "; insert and import make it");
  }
  auto place = std::make_unique<DirectoryPlace>();
  if (Status opened = place->open(*path); !opened) {
    Error error = std::move(opened.error());
    if (error.code == ErrorCode::kAlreadyExists) {
      error.message += "; if that is a server, say --port to reach it";
    }
    return tl::unexpected(std::move(error));
  }
  return Result<std::unique_ptr<Place>>(std::move(place));
}

}  // namespace engram
