// SPDX-License-Identifier: Apache-2.0
// The write-ahead log. The event loop records changes; a thread of the journal's own writes what
// has gathered, syncs it once for all who wait (group commit), and wakes the loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/result.h"
#include "server/durability/change.h"
#include "server/durability/file_system.h"
#include "server/durability/store_files.h"

namespace engram {

/// When an answer may be given, in the words of Redis's appendfsync.
enum class FsyncPolicy : std::uint8_t {
  kAlways,    ///< when its change is on disk
  kEverySec,  ///< at once, as long as no older change has been waiting for the disk for a second
  kNo,        ///< at once; the operating system writes when it likes
};

/// "always", "everysec", "no".
std::string_view policy_name(FsyncPolicy policy) noexcept;

struct JournalStats {
  std::uint64_t bytes = 0;           ///< of all segments
  std::uint64_t buffered_bytes = 0;  ///< recorded, and not yet given to the operating system
  std::uint64_t syncs = 0;           ///< fdatasync calls since the start
  std::uint64_t delayed = 0;         ///< answers under everysec that had to wait
};

/// Threads: all members belong to one thread, the owner (the event loop).
class Journal {
 public:
  /// `files` outlives the journal and was opened with everything before `next` replayed. Starts a
  /// segment at `next`. `wake_owner` is called from the journal's thread when answerable() or
  /// health() may have changed; it is thread-safe and does not block.
  static Result<std::unique_ptr<Journal>> open(StoreFiles& files, Lsn next, FsyncPolicy policy,
                                               std::function<void()> wake_owner);

  /// As close(), its outcome ignored.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Adds a change to the frame that is being made.
  void record(const Change& change);

  /// Ends the frame: what was recorded since the last call is replayed whole or not at all. Returns
  /// its LSN, or 0 if nothing was recorded.
  Lsn seal();

  /// Of the newest sealed frame.
  [[nodiscard]] Lsn last() const noexcept;

  /// The policy allows to acknowledge every frame up to this one. Never decreases.
  Lsn answerable();

  /// When answerable() has to be asked again although no wake-up came: milliseconds from now, or
  /// -1.
  [[nodiscard]] int recheck_ms() const;

  /// Fails while changes cannot be made durable: kNoSpace passes by itself when space returns;
  /// kIo (a failed sync, or any other failure) lasts until a restart, and nothing is written any
  /// more. To be asked before a change is made. Frames in between are not acknowledged.
  [[nodiscard]] Status health() const;

  void set_policy(FsyncPolicy policy);

  /// Starts a new segment, so that those before may be removed; returns when that has been asked.
  void rotate();

  /// Removes, some time later, the segments whose frames all come before `lsn`.
  void remove_before(Lsn lsn);

  [[nodiscard]] JournalStats stats() const;

  /// Writes and syncs everything whatever the policy, and ends the thread. Idempotent.
  Status close();
};

}  // namespace engram
