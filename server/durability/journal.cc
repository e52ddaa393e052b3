// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal.h"

#include <algorithm>
#include <csignal>
#include <system_error>
#include <utility>

#include "core/assert.h"
#include "server/durability/journal_format.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

/// From here on, waiting for the end of the turn would only leave the disk idle.
constexpr std::size_t kSubmitBytes = std::size_t{1} << 20;

/// Buffers that had to become larger give their memory back.
constexpr std::size_t kKeptBytes = std::size_t{4} << 20;

/// Of what a sync took, the share that may be spent on gathering more for the next.
constexpr int kGatherShare = 4;
constexpr std::chrono::milliseconds kLongestGather{1};

/// What was acknowledged and is not written is lost if the disk still refuses then.
constexpr int kLastAttempts = 5;

void reset(std::string& buffer) {
  if (buffer.capacity() > kKeptBytes) {
    std::string().swap(buffer);  // assigning an empty string would keep the memory
  } else {
    buffer.clear();
  }
}

}  // namespace

std::string_view policy_name(FsyncPolicy policy) noexcept {
  switch (policy) {
    case FsyncPolicy::kAlways:
      return "always";
    case FsyncPolicy::kEverySec:
      return "everysec";
    case FsyncPolicy::kNo:
      return "no";
  }
  return "";
}

Result<std::unique_ptr<Journal>> Journal::open(StoreFiles& files, Lsn next, FsyncPolicy policy,
                                               std::function<void()> wake_owner,
                                               const JournalOptions& options) {
  auto writer = std::make_unique<SegmentWriter>(files, next, options.segment_bytes);
  Status started = writer->start();
  try {
    return std::unique_ptr<Journal>(new Journal(std::move(writer), std::move(started), next, policy,
                                                std::move(wake_owner), options));
  } catch (const std::system_error& error) {
    return fail(ErrorCode::kResourceExhausted,
                std::string("cannot start the thread of the journal: ") + error.what());
  }
}

Journal::Journal(std::unique_ptr<SegmentWriter> writer, Status started, Lsn next,
                 FsyncPolicy policy, std::function<void()> wake_owner,
                 const JournalOptions& options)
    : options_(options),
      wake_owner_(std::move(wake_owner)),
      inherited_(next - 1),
      last_(next - 1),
      answered_(last_),
      counted_as_delayed_(last_),
      writer_(std::move(writer)),
      stepped_(Clock::now()),
      durable_(writer_->synced()),
      policy_(policy),
      written_(last_),
      retry_after_(options.retry_after) {
  set_health(std::move(started));
  stats_.bytes = writer_->bytes();
  stats_.syncs = writer_->syncs();
  thread_ = std::thread([this] { run(); });
}

Journal::~Journal() {
  [[maybe_unused]] const Status closed = close();
}

// ---- the owner

void Journal::record(const Change& change) {
  if (frame_.empty()) frame_.resize(kFrameHeaderBytes);
  encode(change, frame_);
}

Lsn Journal::seal() {
  if (frame_.empty()) return 0;
  complete_frame(frame_, ++last_, durable_.load(std::memory_order_relaxed));
  {
    const std::lock_guard lock(mutex_);
    if (!failed_) {
      if (buffer_.empty()) buffer_since_ = Clock::now();
      buffer_.append(frame_);
      ++buffer_frames_;
      if (buffer_.size() >= kSubmitBytes) submit();
    }
  }
  reset(frame_);
  return last_;
}

Lsn Journal::last() const noexcept {
  return last_;
}

Lsn Journal::answerable() {
  if (answered_ == last_) return last_;
  const std::lock_guard lock(mutex_);
  if (!buffer_.empty()) submit();
  answered_ = std::max(answered_, grant());
  owner_waits_ = answered_ < last_;
  return answered_;
}

void Journal::submit() {
  const bool was_there = std::exchange(work_, true);
  const bool gathered = frames_awaited_ != 0 && buffer_frames_ >= frames_awaited_;
  if (!was_there || gathered) work_arrived_.notify_one();
}

Lsn Journal::grant() {
  const Lsn durable = durable_.load(std::memory_order_relaxed);
  if (policy_ == FsyncPolicy::kAlways || !health_) return durable;
  if (buffer_.size() + unwritten_batch_bytes_ > options_.most_buffered_bytes) return durable;
  if (policy_ == FsyncPolicy::kNo || !sync_is_late()) return last_;
  const Lsn counted = std::max(counted_as_delayed_, answered_);
  stats_.delayed += last_ - counted;
  counted_as_delayed_ = last_;
  return durable;
}

bool Journal::sync_is_late() const {
  const Time oldest = unsynced_since_ ? unsynced_since_ : buffer_since_;
  return oldest && Clock::now() - *oldest >= options_.hold_after;
}

Status Journal::health() const {
  if (!failing_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(mutex_);
  return health_;
}

void Journal::set_policy(FsyncPolicy policy) {
  const std::lock_guard lock(mutex_);
  policy_ = policy;
  submit();
}

FsyncPolicy Journal::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

void Journal::sync_soon() {
  const std::lock_guard lock(mutex_);
  sync_up_to_ = last_;
  submit();
}

void Journal::rotate() {
  const std::lock_guard lock(mutex_);
  rotation_ = buffer_.size();
  submit();
}

void Journal::remove_before(Lsn lsn) {
  const std::lock_guard lock(mutex_);
  remove_before_ = std::max(remove_before_, lsn);
  submit();
}

JournalStats Journal::stats() const {
  const std::lock_guard lock(mutex_);
  JournalStats stats = stats_;
  stats.buffered_bytes = buffer_.size() + unwritten_batch_bytes_;
  stats.removing = removed_before_ < remove_before_;
  return stats;
}

Status Journal::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = hurry_ = true;
    last_attempts_ = answered_ > std::max(durable(), inherited_) ? kLastAttempts : 1;
    retry_after_ = options_.retry_after;
    submit();
  }
  if (thread_.joinable()) thread_.join();
  return health();
}

// ---- the thread

void Journal::run() {
  name_this_thread("journal");
  prefer_latency();
  // Signals are for the threads that expect them.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);

  std::unique_lock lock(mutex_);
  while (!failed_) {
    await_work(lock);
    gather(lock);
    const bool is_last = closing_;
    step(lock);
    if (is_last && (health_ ? buffer_.empty() : --last_attempts_ <= 0)) return;
  }
}

void Journal::await_work(std::unique_lock<std::mutex>& lock) {
  // A disk that refuses is not asked again because somebody has more to write.
  const auto something = [this] { return hurry_ || (health_ && (work_ || closing_)); };
  if (const Time until = deadline()) {
    work_arrived_.wait_until(lock, *until, something);
  } else {
    work_arrived_.wait(lock, something);
  }
  work_ = hurry_ = false;
}

Journal::Time Journal::deadline() const {
  if (!health_) return Clock::now() + retry_after_;
  if (policy_ == FsyncPolicy::kEverySec && unsynced_since_) {
    return *unsynced_since_ + options_.sync_after;
  }
  return writer_->is_noted() ? std::nullopt : Time(stepped_ + options_.note_after);
}

bool Journal::sync_is_due() const {
  if (closing_ || policy_ == FsyncPolicy::kAlways || sync_up_to_) return true;
  return policy_ == FsyncPolicy::kEverySec && unsynced_since_ &&
         Clock::now() - *unsynced_since_ >= options_.sync_after;
}

/// Not while there is work: it would wait, and frames that follow say themselves what is on disk.
bool Journal::note_is_due() const {
  return closing_ || (batch_.empty() && Clock::now() - stepped_ >= options_.note_after);
}

void Journal::take_buffer() {
  if (!batch_.empty() || batch_rotation_) {  // the disk has refused it
    work_ = work_ || !buffer_.empty() || rotation_.has_value();
    return;
  }
  batch_.swap(buffer_);
  batch_frames_ = std::exchange(buffer_frames_, 0);
  batch_rotation_ = std::exchange(rotation_, std::nullopt);
  if (!unsynced_since_) unsynced_since_ = buffer_since_;
  buffer_since_.reset();
  unwritten_batch_bytes_ = batch_.size();
}

Status Journal::write_batch() {
  ENGRAM_TRY(writer_->start());
  if (batch_rotation_) {
    ENGRAM_TRY(write_until(*batch_rotation_));
    ENGRAM_TRY(writer_->rotate());
    batch_rotation_.reset();
  }
  ENGRAM_TRY(write_until(batch_.size()));
  reset(batch_);
  done_ = 0;
  return {};
}

Status Journal::write_until(std::size_t end) {
  std::string_view frames = std::string_view(batch_).substr(done_, end - done_);
  Status written = writer_->append(frames);
  done_ = end - frames.size();
  return written;
}

/// A sync costs the same for one frame as for many, and those whom the last one answered are about
/// to write again. So it waits until half of all that are writing are there, but only for a part of
/// what a sync takes (compare commit_delay in PostgreSQL).
void Journal::gather(std::unique_lock<std::mutex>& lock) {
  if (policy_ != FsyncPolicy::kAlways || buffer_frames_ == 0) return;
  const std::uint64_t expected = (batch_frames_ + buffer_frames_) / 2;
  if (buffer_frames_ >= expected) return;
  frames_awaited_ = expected;
  const auto limit = std::min<Clock::duration>(step_took_ / kGatherShare, kLongestGather);
  work_arrived_.wait_for(lock, limit, [&] {
    return closing_ || sync_up_to_ || rotation_ || buffer_frames_ >= expected;
  });
  frames_awaited_ = 0;
  work_ = false;
}

void Journal::step(std::unique_lock<std::mutex>& lock) {
  const auto begun = Clock::now();
  take_buffer();
  const bool sync = sync_is_due();
  const bool note = note_is_due();
  const Lsn remove_before = remove_before_;
  lock.unlock();

  writer_->remove_before(remove_before);
  Status outcome = write_batch();
  // Also what was written before the disk refused has been promised.
  if (sync && (outcome || outcome.error().code != ErrorCode::kIo)) {
    if (Status synced = writer_->sync(); !synced) outcome = std::move(synced);
  }
  if (note && outcome) writer_->note_synced();

  lock.lock();
  stepped_ = Clock::now();
  if (batch_frames_ != 0) step_took_ = stepped_ - begun;
  removed_before_ = remove_before;
  if (publish(std::move(outcome))) {
    lock.unlock();
    wake_owner_();
    lock.lock();
  }
}

bool Journal::publish(Status outcome) {
  written_ = writer_->written();
  durable_.store(writer_->synced(), std::memory_order_release);
  unwritten_batch_bytes_ = batch_.size() - done_;
  stats_.bytes = writer_->bytes();
  stats_.syncs = writer_->syncs();
  if (unwritten_batch_bytes_ == 0 && writer_->synced() == written_) unsynced_since_.reset();

  const bool health_changed = outcome.has_value() != health_.has_value();
  if (!outcome && outcome.error().code == ErrorCode::kIo) {
    failed_ = true;
    unwritten_batch_bytes_ = 0;
    std::string().swap(buffer_);
    std::string().swap(batch_);
  }
  set_health(std::move(outcome));
  const bool synced = sync_up_to_ && durable() >= *sync_up_to_;
  if (synced) sync_up_to_.reset();
  return std::exchange(owner_waits_, false) || synced || health_changed || failed_;
}

void Journal::set_health(Status health) {
  if (health) {
    retry_after_ = options_.retry_after;
    if (!health_) ++recoveries_;
  } else if (!health_) {
    retry_after_ = std::min(2 * retry_after_, options_.retry_at_last);
  }
  health_ = std::move(health);
  failing_.store(!health_, std::memory_order_release);
}

}  // namespace engram
