// SPDX-License-Identifier: Apache-2.0
#include "server/session/session.h"

#include <utility>

#include "server/commands/errors.h"
#include "server/engine/persistence.h"
#include "server/metrics/server_stats.h"

namespace engram {
namespace {

constexpr std::size_t kMostPending = 1024;
constexpr std::size_t kMostReadsPerWorker = 8;  // in flight: enough to keep the workers busy

}  // namespace

Session::Session(Sessions& sessions, ClientSink& sink)
    : sessions_(sessions), sink_(sink), order_(sink) {
  client_.id = sessions.take_id();
  client_.connected_ms = client_.active_ms = sessions.store().keyspace().now_ms();
  sessions_.add(client_.id, *this);
}

Session::~Session() {
  sessions_.remove(client_.id);
}

/// Neighbours of one kind may be in flight together. Of reads only as many as keep the workers
/// busy, because those of other clients queue behind them.
bool Session::may_start(CommandKind kind) const noexcept {
  if (runs_transaction_ || order_.size() >= kMostPending) return false;
  Store& store = sessions_.store();
  const auto none = [this](CommandKind others) { return order_.unanswered(others) == 0; };
  switch (kind) {
    case CommandKind::kNeutral:
      return true;
    case CommandKind::kRead:
      return order_.empty() ||
             (none(CommandKind::kWrite) && none(CommandKind::kUpdate) &&
              none(CommandKind::kConditional) &&
              order_.unanswered(CommandKind::kRead) < kMostReadsPerWorker * store.workers().size());
    case CommandKind::kWrite:
      return none(CommandKind::kRead) && none(CommandKind::kUpdate) &&
             none(CommandKind::kConditional) && !store.gate().is_closed();
    case CommandKind::kConditional:
      return none(CommandKind::kRead) && none(CommandKind::kWrite) && none(CommandKind::kUpdate) &&
             !store.gate().is_closed();
    case CommandKind::kUpdate:
    case CommandKind::kTransaction:
      return order_.unanswered() == 0 && !store.gate().is_closed();
  }
  return false;
}

bool Session::must_wait(CommandKind kind) {
  kind_ = kind;
  if (may_start(kind)) return false;
  const bool changes = changes_something(kind) || kind == CommandKind::kTransaction;
  const bool is_kept_out = changes && sessions_.store().gate().is_closed() && !runs_transaction_;
  if (is_kept_out && !std::exchange(waits_for_gate_, true)) sessions_.wake_when_open(client_.id);
  return true;
}

void Session::gate_opened() {
  waits_for_gate_ = false;
  sink_.progressed();
}

bool Session::is_paused(CommandKind kind) const noexcept {
  return sessions_.paused() == Pause::kAll ||
         (sessions_.paused() == Pause::kWrites && changes_something(kind));
}

bool Session::start(CommandKind kind, const std::function<void(Deferred reply)>& begin,
                    bool writes_later) {
  if (is_paused(kind)) {
    kind_ = CommandKind::kNeutral;
    sessions_.wake_after_pause(client_.id);
    return false;
  }
  if (must_wait(kind)) return false;
  muted_ = false;
  writes_ = changes_something(kind) && !writes_later;
  const std::uint64_t place = order_.next();
  if (const Status health = write_health(kind); !health) {
    order_.reserve(kind, false, 0);
    order_.hold(place, 0);
    order_.fill(place, {});
    order_.release(place, &health.error());
    return true;
  }
  const bool is_kept_back = may_be_held(kind);
  const Lsn lsn = execute_and_seal(
      is_kept_back, [&] { begin(Deferred(sessions_, client_.id, client_.resp, 0)); });
  if (lsn != 0 && is_kept_back) sessions_.hold(client_.id, place, lsn, 0);
  if (is_kept_back) order_.set_kept_back(false);
  return true;
}

Lsn Session::seal() {
  Persistence* const persistence = sessions_.store().persistence();
  return persistence == nullptr ? 0 : persistence->seal();
}

bool Session::holds_answers() const {
  const Persistence* const persistence = sessions_.store().persistence();
  return persistence != nullptr && persistence->holds_answers();
}

Status Session::health() const {
  const Persistence* const persistence = sessions_.store().persistence();
  return persistence == nullptr ? Status() : persistence->health();
}

std::uint64_t Session::defer(std::size_t expected_bytes) {
  return order_.reserve(kind_, muted_, expected_bytes);
}

void Session::extend(std::uint64_t sequence, std::string bytes) {
  order_.extend(sequence, std::move(bytes));
  if (!executing_) sink_.progressed();
}

/// The parts of a reply whose turn has not come gather behind those before it.
bool Session::takes_part(std::uint64_t sequence, std::function<void()> resume) {
  constexpr std::size_t kMostGathered = 256UL * 1024;
  const bool takes =
      order_.is_first(sequence) ? !sink_.is_full() : order_.bytes_at(sequence) < kMostGathered;
  if (!takes) waiting_for_room_.push_back(std::move(resume));
  return takes;
}

void Session::resume_parts() {
  if (waiting_for_room_.empty()) return;
  for (const auto& resume : std::exchange(waiting_for_room_, {})) resume();
}

void Session::complete(std::uint64_t sequence, std::string bytes) {
  order_.fill(sequence, std::move(bytes));
  resume_parts();  // of the reply that is first now
  if (!executing_) sink_.progressed();
}

void Session::tell(std::string_view bytes) {
  order_.append(bytes);
  sink_.progressed();
}

void Session::release(std::uint64_t sequence, const Error* error) {
  if (error != nullptr) sessions_.stats().count_error(misconf_error(*error));
  order_.release(sequence, error);
  resume_parts();  // of the reply that is first now
  sink_.progressed();
}

}  // namespace engram
