// SPDX-License-Identifier: Apache-2.0
// The write-ahead log. The event loop records changes; a thread of the journal's own writes what
// has gathered, syncs it once for all who wait (group commit), and wakes the loop.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "core/result.h"
#include "server/durability/change.h"
#include "server/durability/segment_writer.h"
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
  bool removing = false;             ///< `bytes` has segments that are about to be removed
};

struct JournalOptions {
  /// A segment ends here, unless a single frame is larger.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  /// While more is waiting to be written, nothing is acknowledged whatever the policy.
  std::uint64_t most_buffered_bytes = std::uint64_t{64} << 20;
  /// Under everysec: how old the oldest change is when it is synced, and when answers begin to wait
  /// for that. Half a second is left for the disk to keep the promise of one.
  std::chrono::milliseconds sync_after{500};
  std::chrono::milliseconds hold_after{1000};
  /// How long nothing has happened when it is noted what is on disk.
  std::chrono::milliseconds note_after{1000};
  /// How long a disk that refuses is left alone; twice as long after each time, up to the second.
  std::chrono::milliseconds retry_after{200};
  std::chrono::milliseconds retry_at_last{1000};
};

/// Threads: all members belong to one thread, the owner (the event loop).
class Journal {
 public:
  /// `files` outlives the journal, names the store, and was opened with everything before `next`
  /// replayed. Starts a segment at `next`; if the disk refuses, health() says so, and it is tried
  /// again. `wake_owner` is called from the journal's thread when answerable() or health() may have
  /// changed; it is thread-safe and does not block. Errors: kResourceExhausted without a thread.
  static Result<std::unique_ptr<Journal>> open(StoreFiles& files, Lsn next, FsyncPolicy policy,
                                               std::function<void()> wake_owner,
                                               const JournalOptions& options = {});

  /// As close(), its outcome ignored.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Adds a change to the frame that is being made, which has less than 4 GiB.
  void record(const Change& change);

  /// Ends the frame: what was recorded since the last call is replayed whole or not at all. Returns
  /// its LSN, or 0 if nothing was recorded.
  Lsn seal();

  /// Bytes of the frame that is being made.
  [[nodiscard]] std::size_t frame_bytes() const noexcept { return frame_.size(); }

  /// Of the newest sealed frame.
  [[nodiscard]] Lsn last() const noexcept;

  /// The policy allows to acknowledge every frame up to this one. Never decreases; a wake-up comes
  /// when it has increased. It also sends what was sealed on its way: called once in each turn of
  /// the loop, it makes of all changes of the turn one batch, which costs one sync.
  Lsn answerable();

  /// Has everything sealed so far synced, whatever the policy; a wake-up comes when it is.
  void sync_soon();

  /// Every frame up to this one is on disk. Any thread.
  [[nodiscard]] Lsn durable() const noexcept { return durable_.load(std::memory_order_acquire); }

  /// Fails while changes cannot be made durable. kNoSpace and kUnavailable pass by themselves; kIo,
  /// a failed sync of frames, lasts until a restart, and nothing is written any more. To be asked
  /// before a change is made. Frames in between are not acknowledged.
  [[nodiscard]] Status health() const;

  /// How often health() was regained. Any thread.
  [[nodiscard]] std::uint64_t recoveries() const noexcept {
    return recoveries_.load(std::memory_order_acquire);
  }

  void set_policy(FsyncPolicy policy);
  [[nodiscard]] FsyncPolicy policy() const;

  /// Starts a new segment, so that those before may be removed; returns when that has been asked.
  void rotate();

  /// Removes, some time later, the segments whose frames all come before `lsn`.
  void remove_before(Lsn lsn);

  [[nodiscard]] JournalStats stats() const;
  /// What the disk took for each sync, in nanoseconds. Any thread.
  [[nodiscard]] const Histogram& sync_durations() const noexcept {
    return writer_->sync_durations();
  }

  /// Writes and syncs everything whatever the policy, trying for some seconds if need be, and ends
  /// the thread. Nothing may be recorded afterwards. Idempotent.
  Status close();

 private:
  using Clock = std::chrono::steady_clock;
  using Time = std::optional<Clock::time_point>;

  Journal(std::unique_ptr<SegmentWriter> writer, Status started, Lsn next, FsyncPolicy policy,
          std::function<void()> wake_owner, const JournalOptions& options);

  // The owner's; mutex_ is held.
  void submit();
  Lsn grant();
  [[nodiscard]] bool sync_is_late() const;

  // The thread's. Those with a lock are called with it held.
  void run();
  void await_work(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Time deadline() const;
  [[nodiscard]] bool sync_is_due() const;
  [[nodiscard]] bool note_is_due() const;
  void take_buffer();
  Status write_batch();
  Status write_until(std::size_t end);
  void gather(std::unique_lock<std::mutex>& lock);
  void step(std::unique_lock<std::mutex>& lock);
  bool publish(Status outcome);
  void set_health(Status health);

  const JournalOptions options_;
  const std::function<void()> wake_owner_;

  // The owner's.
  const Lsn inherited_;  // the newest frame when it was opened
  std::string frame_;    // being made: room for the header, then changes
  Lsn last_;
  Lsn answered_;
  Lsn counted_as_delayed_;

  // The thread's, of which others read only what publish() has told.
  const std::unique_ptr<SegmentWriter> writer_;
  std::string batch_;                          // taken out of buffer_
  std::uint64_t batch_frames_ = 0;             // in the last that was taken
  Clock::duration step_took_{};                // the last one that wrote something
  Clock::time_point stepped_;                  // when the last one ended
  std::size_t done_ = 0;                       // bytes of batch_ that are written
  std::optional<std::size_t> batch_rotation_;  // a new segment begins at this byte of batch_

  std::atomic<Lsn> durable_;
  std::atomic<bool> failing_{false};
  std::atomic<std::uint64_t> recoveries_{0};

  mutable std::mutex mutex_;  // guards all that follows
  std::condition_variable work_arrived_;
  bool work_ = false;  // something for the thread to look at
  bool closing_ = false;
  bool hurry_ = false;        // to look at once, even if the disk has just refused
  int last_attempts_ = 0;     // that are left, when closing
  bool failed_ = false;       // for ever
  bool owner_waits_ = false;  // for a wake-up
  FsyncPolicy policy_;
  std::string buffer_;  // sealed frames
  std::uint64_t buffer_frames_ = 0;
  std::uint64_t frames_awaited_ = 0;     // the thread is not to be woken before these are there
  std::optional<std::size_t> rotation_;  // a new segment begins at this byte of buffer_
  Lsn remove_before_ = 0;
  Lsn removed_before_ = 0;
  std::optional<Lsn> sync_up_to_;  // asked for, whatever the policy; until that is told
  Time buffer_since_;              // when the first frame of buffer_ was sealed
  Time unsynced_since_;            // when the first frame was sealed that was taken, but not synced
  Lsn written_;
  std::size_t unwritten_batch_bytes_ = 0;
  Status health_;
  std::chrono::milliseconds retry_after_;  // the next time
  JournalStats stats_;

  std::thread thread_;  // last: it starts when all else is there
};

}  // namespace engram
