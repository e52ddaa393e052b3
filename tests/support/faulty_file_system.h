// SPDX-License-Identifier: Apache-2.0
// A disk that fails on demand, and forgets what it may forget when the power goes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/durability/file_system.h"

namespace engram::test {

/// Keeps files in real directories through another file system. It counts operations: create,
/// open_for_append, append, sync, truncate, rename, link, remove and sync_directory, from 1.
/// Opening for reading, listing and locking have numbers of their own, from 1. Any thread.
class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& real = posix_file_system()) : real_(real) {}

  // ---- faults, by the number of the operation

  /// The operation fails; an append has added `appended` bytes by then.
  void fail_at(std::uint64_t operation, ErrorCode code, std::size_t appended = 0);
  /// The same with an error number of the system.
  void fail_with(std::uint64_t operation, int error, std::size_t appended = 0);
  /// Opening for reading, listing or locking fails.
  void fail_reading_with(std::uint64_t reading, int error);

  /// The append writes one bit wrong, and reports success. `bit` counts from its first byte on.
  void flip_bit_at(std::uint64_t operation, std::uint64_t bit);

  /// The process dies in the middle of the operation: part of it may be done, drawn from `seed`,
  /// and nothing is done afterwards. With lose_unsynced() it is the machine that dies.
  void stop_at(std::uint64_t operation, std::uint64_t seed);
  [[nodiscard]] bool stopped() const;

  // ---- faults until they are taken back

  /// How many bytes may still be appended; nothing can be created when none. nullopt: any number.
  void set_space(std::optional<std::uint64_t> bytes);

  void fail_syncs(bool fail);

  /// Files have one name, as on some file systems.
  void refuse_links();

  /// Syncs do not return before they are released.
  void hold_syncs();
  void release_syncs();
  /// Returns when a sync is being held.
  void await_held_sync();

  // ---- what happened

  [[nodiscard]] std::uint64_t operations() const;
  /// Of files, done or failed.
  [[nodiscard]] std::uint64_t syncs() const;
  [[nodiscard]] std::uint64_t readings() const;
  /// The file whose sync was the last that a fault made fail, if that was not its first; or empty.
  [[nodiscard]] std::string failed_sync() const;

  /// Leaves in the directories what a power loss could: for each file what was synced, and of the
  /// rest any part, with sectors missing; for each name what it stood for when its directory was
  /// synced, or since. Nothing that was opened for writing is used afterwards; faults are over.
  void lose_unsynced(std::uint64_t seed);

  /// The process is started anew, the machine went on: all that was done is there; faults are over.
  void restart();

  // ---- FileSystem

  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override;
  Result<std::unique_ptr<WritableFile>> open_for_append(const std::string& path) override;
  Result<std::unique_ptr<ReadableFile>> open_for_reading(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& directory) override;
  /// Rows are no part of what is durable: neither counted nor made to fail.
  Result<std::unique_ptr<UnnamedFile>> create_unnamed(const std::string& directory) override {
    return real_.create_unnamed(directory);
  }
  Status sync_directory(const std::string& directory) override;
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) override;

 private:
  class File;

  /// A file, whatever its name. What a power loss leaves of it begins with its first `kept` bytes.
  struct Node {
    std::uint64_t kept = 0;
    bool sync_failed = false;  // the system has given up on what lies beyond, and tells nobody
    std::optional<std::string> on_disk;     // the content when it was synced, if cut since
    std::optional<std::string> last_bytes;  // the content, if it has no name any more
  };
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;  // null: no file of this name

  struct Fault {
    ErrorCode code = ErrorCode::kIo;
    std::size_t appended = 0;
    std::optional<std::uint64_t> bit = std::nullopt;
    int error = 0;  // of the system; 0: one that goes with the code
  };

  static tl::unexpected<Error> injected(const Fault& fault);

  Status change(const std::function<Status()>& work);

  // All with mutex_ held.
  Status begin();
  void forgive();
  Status begin_reading();
  Status append(WritableFile& file, std::span<const std::byte> bytes);
  std::optional<Fault> take_fault();
  NodePtr node_of(const std::string& path);
  void forget_name(const std::string& path);
  void note_cut(const std::string& path, Node& node, std::uint64_t size);
  std::string read(const std::string& path);
  Names surviving_names(std::mt19937_64& rng);
  std::string survivor(const std::string& content, const Node& node, std::mt19937_64& rng);
  void replace(const std::string& path, const std::optional<std::string>& content);

  FileSystem& real_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Fault> faults_;
  std::map<std::uint64_t, Fault> reading_faults_;
  std::optional<std::uint64_t> stop_at_;
  std::mt19937_64 stop_rng_;
  bool stopped_ = false;
  std::optional<std::uint64_t> space_;
  bool fail_syncs_ = false;
  bool refuses_links_ = false;
  bool hold_syncs_ = false;
  std::uint64_t held_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t syncs_ = 0;
  std::uint64_t readings_ = 0;
  std::string failed_sync_;
  Names names_;    // as they are
  Names on_disk_;  // as of the last sync of their directory
};

}  // namespace engram::test
