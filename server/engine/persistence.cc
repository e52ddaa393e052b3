// SPDX-License-Identifier: Apache-2.0
#include "server/engine/persistence.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"
#include "server/durability/store_sections.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/engine/quarantine.h"
#include "server/engine/recovery.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::int64_t kMsPerSecond = 1000;

/// After one that failed, a snapshot that nobody asked for is tried again no sooner; after the next
/// failure twice as late, and so on. It may have taken the last space that the journal needs.
constexpr std::int64_t kFirstRetryMs = 5 * kMsPerSecond;
constexpr std::int64_t kLastRetryMs = 600 * kMsPerSecond;

using Collections = std::vector<std::pair<std::string, std::shared_ptr<Collection>>>;

Collections collections_of(Keyspace& keyspace) {
  const auto& all = keyspace.collection_names();
  Collections collections;
  for (const std::string& name : std::vector<std::string>(all.begin(), all.end())) {
    const Value* const value = keyspace.peek(name);  // which may remove an expired one
    if (value != nullptr) {
      collections.emplace_back(name, std::get<std::shared_ptr<Collection>>(*value));
    }
  }
  return collections;
}

}  // namespace

FsyncPolicy fsync_policy(std::string_view name) noexcept {
  for (const auto policy : {FsyncPolicy::kAlways, FsyncPolicy::kNo}) {
    if (policy_name(policy) == name) return policy;
  }
  return FsyncPolicy::kEverySec;
}

Persistence::Persistence(const Environment& environment, std::unique_ptr<StoreFiles> files,
                         KeepPrevious keep_previous)
    : environment_(environment),
      files_(std::move(files)),
      generations_(*files_, environment_.loop, keep_previous,
                   {.drop_journal_before = [this](Lsn lsn) { journal_->remove_before(lsn); },
                    .checked = [this](const Status& checked) { end_check(checked); }}) {}

Result<std::unique_ptr<Persistence>> Persistence::open(const PersistenceOptions& options,
                                                       const Environment& environment) {
  auto files = StoreFiles::open(options.disk, options.directory);
  if (!files) return tl::unexpected(std::move(files.error()));
  std::unique_ptr<Persistence> opened(
      new Persistence(environment, std::move(*files), options.keep_previous));
  Keyspace& keyspace = environment.keyspace;
  auto recovered = recover(*opened->files_, {.keyspace = keyspace,
                                             .workers = environment.workers,
                                             .kernel_name = options.kernel_name,
                                             .wait_for_workers = environment.wait_for_workers,
                                             .row_files = options.row_files});
  if (!recovered) return tl::unexpected(std::move(recovered.error()));
  auto journal =
      Journal::open(*opened->files_, recovered->next, options.policy, environment.wake_loop);
  if (!journal) return tl::unexpected(std::move(journal.error()));
  opened->journal_ = std::move(*journal);
  opened->last_save_ms_ = opened->last_attempt_ms_ = unix_time_ms();
  opened->last_save_lsn_ = recovered->next - 1 - recovered->frames;
  opened->replayed_frames_ = recovered->frames;
  keyspace.set_change_sink(opened.get());
  for (const auto& [name, collection] : collections_of(keyspace)) {
    collection->set_change_sink(opened.get());
  }
  if (recovered->snapshot != nullptr) {
    opened->last_save_ms_ = recovered->snapshot->begun_ms();
    opened->snapshot_bytes_ = recovered->snapshot->bytes();
    if (recovered->is_newest)
      opened->generations_.loaded_newest(recovered->snapshot->replay_from());
    opened->verify(std::move(recovered->snapshot), recovered->is_newest);
  }
  return opened;
}

Persistence::~Persistence() {
  job_.reset();
  verifier_.reset();
}

void Persistence::verify(std::unique_ptr<SnapshotFile> snapshot, bool is_newest) {
  verification_ = Verification::kRunning;
  verifier_ = std::make_unique<SnapshotVerifier>(
      std::move(snapshot), environment_.loop,
      [this](SectionOwner owner, const std::string& reason) { mark_damaged(owner, reason); },
      [this, is_newest](const Status& ended) {
        verifier_.reset();
        if (!ended) {
          // Nothing is known to be damaged. What is kept for that case stays.
          log_warning("the snapshot is not verified: " + ended.error().message);
          verification_ = Verification::kNone;
        } else {
          if (verification_ == Verification::kRunning) verification_ = Verification::kVerified;
          if (is_newest) generations_.verified_loaded(verification_ == Verification::kVerified);
        }
        if (saving_ && job_ == nullptr && may_start_save()) start_save();
      });
}

/// The newest snapshot was read back. If it is damaged, another one is soon taken.
void Persistence::end_check(const Status& checked) {
  if (verification_ == Verification::kRunning) {
    verification_ = checked ? Verification::kVerified : Verification::kFailed;
  }
  if (checked) {
    kept_bytes_ =
        generations_.keeps_previous() ? rotated_bytes_ - std::min(rotated_bytes_, kept_before_) : 0;
  } else if (last_save_status_ && last_save_duration_ms_ >= 0) {
    last_save_status_ = checked;
    last_save_lsn_ = 0;
    last_save_ms_ = 0;
    retry_ms_ = kFirstRetryMs;
  }
  if (saving_ && job_ == nullptr && may_start_save()) start_save();
}

/// What is damaged is not served any more, and no snapshot makes it look sound.
void Persistence::mark_damaged(SectionOwner owner, const std::string& reason) {
  verification_ = Verification::kFailed;
  if (owner == kStoreOwner) {
    log_error(reason);
    store_damage_ = reason;
  }
  bool is_named = owner == kStoreOwner;
  for (const auto& [name, collection] : collections_of(environment_.keyspace)) {
    if (collection->id() != owner) continue;
    is_named = true;
    // In quarantine, or met by somebody before, it has said already why.
    if (!collection->find_damage(name).empty()) continue;
    collection->set_damage(index_label(name) + ": " + reason);
    log_error(collection->find_damage(name));
  }
  // Sections that several share were copied, and verified, when these were loaded.
  if (!is_named) log_error(reason + "; no index that is served is affected");
}

/// Fails while there is damage that a snapshot would make look sound. What was dropped does no harm
/// any more.
Status Persistence::soundness() const {
  if (!store_damage_.empty()) return fail(ErrorCode::kDataLoss, store_damage_);
  for (const auto& [name, collection] : collections_of(environment_.keyspace)) {
    const std::string& damage = collection->find_damage(name);
    if (!damage.empty()) return fail(ErrorCode::kDataLoss, damage);
  }
  return {};
}

void Persistence::begin_transaction() {
  ENGRAM_ASSERT(!in_transaction_);
  journal_->seal();
  in_transaction_ = true;
}

Lsn Persistence::end_transaction() {
  ENGRAM_ASSERT(in_transaction_);
  in_transaction_ = false;
  const Lsn lsn = journal_->seal();
  for (const auto& action : std::exchange(after_transaction_, {})) action();
  return lsn;
}

/// Runs `action` now, or at the end of the transaction.
void Persistence::outside_transaction(std::function<void()> action) {
  if (!in_transaction_) return action();
  after_transaction_.push_back(std::move(action));
}

/// What is changed from now on is answered as the new policy says, in this turn already.
void Persistence::set_policy(FsyncPolicy policy) {
  outside_transaction([this, policy] {
    if (policy == journal_->policy()) return;
    journal_->set_policy(policy);
    holds_answers_ = holds_answers_ || policy == FsyncPolicy::kAlways;
  });
}

/// While the journal cannot be written no command changes anything: a snapshot that is taken then
/// shows no part of any frame. Names such a time; nothing if it is none.
std::optional<std::uint64_t> Persistence::standstill() const {
  const std::uint64_t recoveries = journal_->recoveries();  // first: health may come back now
  return health() ? std::nullopt : std::optional(recoveries);
}

/// A snapshot may show parts of the frames from `first` on, so it needs all of them; also of what a
/// transaction has done so far. `done` is told of the last one. If the snapshot began in a
/// `standstill` that lasts, only erasures of keys that have expired were recorded since. It has
/// these keys or not; a reader finds them expired.
void Persistence::sync(Lsn first, std::optional<std::uint64_t> standstill,
                       std::function<void(const Result<Lsn>&)> done) {
  outside_transaction([this, first, standstill, done = std::move(done)] {
    journal_->seal();
    const bool stood_still = standstill && standstill == this->standstill();
    if (stood_still || journal_->last() < first) return done(first - 1);
    journal_->sync_soon();
    waiting_syncs_.push_back({journal_->last(), done});
  });
}

void Persistence::log_health() {
  const Status health = journal_->health();
  if (was_healthy_ == health.has_value()) return;
  was_healthy_ = health.has_value();
  if (was_healthy_) return log_info("the journal is written again: writes are accepted");
  log_error("cannot write the journal, writes are refused: " + health.error().message);
}

Lsn Persistence::poll() {
  log_health();
  if (!waiting_syncs_.empty()) {
    const Status health = journal_->health();
    for (auto& waiting : std::exchange(waiting_syncs_, {})) {
      if (!health || journal_->durable() >= waiting.lsn) {
        waiting.done(health ? Result<Lsn>(waiting.lsn) : tl::unexpected(health.error()));
      } else {
        waiting_syncs_.push_back(std::move(waiting));
      }
    }
  }
  const Lsn answerable = journal_->answerable();
  holds_answers_ = journal_->policy() == FsyncPolicy::kAlways || answerable < journal_->last();
  return answerable;
}

Status Persistence::save(std::function<void(const Status&)> done, std::string directory) {
  if (saving_) return fail(ErrorCode::kAlreadyExists, "Background save already in progress");
  ENGRAM_TRY(soundness());
  saving_ = true;
  saving_since_ms_ = last_attempt_ms_ = unix_time_ms();
  save_directory_ = std::move(directory);
  waiting_for_save_.push_back(std::move(done));
  if (may_start_save()) start_save();
  return {};
}

void Persistence::save_in_turn(std::function<void(const Status&)> done) {
  waiting_for_turn_.push_back(std::move(done));
  save_for_waiting();
}

/// One snapshot does for all who wait before it begins.
void Persistence::save_for_waiting() {
  if (saving_ || waiting_for_turn_.empty()) return;
  const auto done = [waiting = std::exchange(waiting_for_turn_, {})](const Status& saved) {
    for (const auto& waits : waiting) waits(saved);
  };
  if (const Status started = save(done); !started) done(started);
}

/// A new segment begins where the snapshot does, so that all before can be removed. What was
/// recorded by then has to be carried out before the snapshot looks at it; what is recorded
/// meanwhile is repeated on top of it. Which collections there are is told as of the beginning: a
/// move that is repeated needs its collection to be there, even one that was erased later.
void Persistence::start_save() {
  outside_transaction([this] { rotate_and_save(); });
}

void Persistence::rotate_and_save() {
  auto collections = SnapshotJob::list_collections(environment_.keyspace);  // may record erasures
  journal_->seal();
  const Lsn replay_from = journal_->last() + 1;
  if (save_directory_.empty()) {
    rotated_bytes_ = journal_->stats().bytes;
    journal_->rotate();
  }
  applying_.after([this, replay_from, standstill = standstill(),
                   collections = std::move(collections)]() mutable {
    if (Status sound = soundness(); !sound) {
      return end_save({.status = std::move(sound)}, replay_from);
    }
    job_ = std::make_unique<SnapshotJob>(
        SnapshotJob::Context{
            .keyspace = environment_.keyspace,
            .disk = files_->disk(),
            .files = files_.get(),
            .loop = environment_.loop,
            .sync_journal = [this, replay_from, standstill](
                                auto done) { sync(replay_from, standstill, std::move(done)); },
            .replay_from = replay_from,
            .copy_directory = save_directory_,
            .links_newest = save_directory_.empty() && generations_.wants_previous(),
        },
        std::move(collections), [this, replay_from](const SnapshotJob::Outcome& outcome) {
          end_save(outcome, replay_from);
        });
  });
}

void Persistence::end_save(const SnapshotJob::Outcome& outcome, Lsn replay_from) {
  job_.reset();
  saving_ = false;
  if (save_directory_.empty()) {
    end_own_save(outcome, replay_from);
  } else if (outcome.status) {
    log_info("copied the store to " + save_directory_);
  } else {
    log_error("no copy of the store: " + outcome.status.error().message);
  }
  for (const auto& done : std::exchange(waiting_for_save_, {})) done(outcome.status);
  save_for_waiting();
}

void Persistence::end_own_save(const SnapshotJob::Outcome& outcome, Lsn replay_from) {
  last_save_status_ = outcome.status;
  const std::int64_t now_ms = unix_time_ms();
  if (outcome.status) {
    retry_ms_ = 0;
    last_save_duration_ms_ = now_ms - saving_since_ms_;
    last_save_ms_ = now_ms;
    last_save_lsn_ = replay_from - 1;
    snapshot_bytes_ = outcome.bytes;
    kept_before_ = std::exchange(kept_bytes_, rotated_bytes_);
    if (generations_.policy() != KeepPrevious::kNo) verification_ = Verification::kRunning;
    generations_.published(replay_from, outcome.linked);
    log_info("snapshot of " + std::to_string(outcome.bytes) + " bytes taken in " +
             std::to_string(last_save_duration_ms_) + " ms");
  } else {
    retry_ms_ = std::clamp(2 * retry_ms_, kFirstRetryMs, kLastRetryMs);
    log_error("no snapshot: " + outcome.status.error().message);
  }
}

bool Persistence::is_due(const SnapshotRules& rules) const {
  const std::uint64_t changes = journal_->last() - last_save_lsn_;
  const std::int64_t age_ms = unix_time_ms() - last_save_ms_;
  if (std::any_of(rules.ages.begin(), rules.ages.end(), [&](const SnapshotRules::Age& rule) {
        return changes >= rule.changes && age_ms >= rule.seconds * kMsPerSecond;
      })) {
    return changes > 0;
  }
  if (rules.journal_percent == 0) return false;
  const std::uint64_t grown =
      std::max(rules.journal_bytes, snapshot_bytes_ / 100 * rules.journal_percent);
  const JournalStats journal = journal_->stats();
  return changes > 0 && !journal.removing && may_start_save() &&
         journal.bytes - std::min(journal.bytes, kept_bytes_) >= grown;
}

void Persistence::save_if_due(const SnapshotRules& rules) {
  if (saving_ || unix_time_ms() - last_attempt_ms_ < retry_ms_) return;
  if (!is_due(rules) || !soundness() || !health()) return;
  log_info("taking a snapshot: " + std::to_string(journal_->last() - last_save_lsn_) +
           " changes since the last");
  [[maybe_unused]] const Status started = save([](const Status&) {});
}

PersistenceFacts Persistence::facts() {
  std::vector<std::string> damaged;
  for (const auto& [name, collection] : collections_of(environment_.keyspace)) {
    if (!collection->find_damage(name).empty()) damaged.push_back(name);
  }
  return {.policy = journal_->policy(),
          .journal_health = journal_->health(),
          .journal = journal_->stats(),
          .last = journal_->last(),
          .answerable = journal_->answerable(),
          .changes_since_snapshot = journal_->last() - last_save_lsn_,
          .saving = saving_,
          .saving_since_ms = saving_since_ms_,
          .last_save_ms = last_save_ms_,
          .last_save_status = last_save_status_,
          .last_save_duration_ms = last_save_duration_ms_,
          .snapshot_bytes = snapshot_bytes_,
          .verification = verification_,
          .replayed_frames = replayed_frames_,
          .damaged_collections = std::move(damaged)};
}

Status Persistence::close() {
  environment_.keyspace.set_change_sink(nullptr);
  for (const auto& [name, collection] : collections_of(environment_.keyspace)) {
    collection->set_change_sink(nullptr);
  }
  Status closed = journal_->close();
  const bool is_saved = journal_->last() <= last_save_lsn_;
  return is_saved ? Status{} : closed;
}

}  // namespace engram
