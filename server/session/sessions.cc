// SPDX-License-Identifier: Apache-2.0
#include "server/session/sessions.h"

#include <algorithm>
#include <utility>

#include "server/engine/persistence.h"
#include "server/session/session.h"

namespace engram {
namespace {

/// Whether a command writes is remembered by its sequence number: its client may have gone when the
/// write is done.
constexpr std::uint64_t kWrites = std::uint64_t{1} << 63;

}  // namespace

Session* Sessions::find(ClientId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

std::uint64_t Sessions::defer(ClientId id, std::size_t expected_bytes) {
  Session& session = *find(id);
  const std::uint64_t sequence = session.defer(expected_bytes);
  if (!session.is_writing()) return sequence;
  store_.gate().enter();
  return sequence | kWrites;
}

void Sessions::expect(ClientId id, std::uint64_t sequence, std::size_t bytes) {
  if (Session* const session = find(id)) session->expect(sequence & ~kWrites, bytes);
}

void Sessions::hold(ClientId id, std::uint64_t sequence, Lsn lsn, std::size_t bytes) {
  Session* const session = find(id);
  if (session == nullptr) return;
  session->hold(sequence & ~kWrites, bytes);
  held_.push_back({lsn, id, sequence & ~kWrites});
}

void Sessions::extend(ClientId id, std::uint64_t sequence, std::string bytes) {
  if (Session* const session = find(id)) session->extend(sequence & ~kWrites, std::move(bytes));
}

bool Sessions::takes_part(ClientId id, std::uint64_t sequence, std::function<void()> resume) {
  Session* const session = find(id);
  return session != nullptr && session->takes_part(sequence & ~kWrites, std::move(resume));
}

void Sessions::complete(ClientId id, std::uint64_t sequence, std::string bytes) {
  if (Session* const session = find(id)) session->complete(sequence & ~kWrites, std::move(bytes));
  if ((sequence & kWrites) != 0) store_.gate().leave();
}

void Sessions::wake_when_open(ClientId id) {
  store_.gate().when_open([this, id] {
    if (Session* const session = find(id)) session->gate_opened();
  });
}

void Sessions::pause(Pause what, std::int64_t until_ms) {
  end_pause_if_due();
  pause_ends_ms_ = pause_ == Pause::kNone ? until_ms : std::max(pause_ends_ms_, until_ms);
  pause_ = std::max(pause_, what);
  store_.set_paused(pause_ != Pause::kNone);
}

void Sessions::end_pause() {
  pause_ = Pause::kNone;
  store_.set_paused(false);
  for (const ClientId id : std::exchange(paused_, {})) {
    if (Session* const session = find(id)) session->resume();
  }
}

void Sessions::end_pause_if_due() {
  if (pause_ != Pause::kNone && store_.keyspace().now_ms() >= pause_ends_ms_) end_pause();
}

void Sessions::release_held() {
  Persistence* const persistence = store_.persistence();
  if (persistence == nullptr) return;
  persistence->seal();                          // of keys that have expired
  const Status health = persistence->health();  // first: what is durable by then is answered
  const Lsn answerable = persistence->poll();
  while (!held_.empty() && (held_.front().lsn <= answerable || !health)) {
    const HeldReply held = held_.front();
    held_.pop_front();
    Session* const session = find(held.client);
    if (session == nullptr) continue;
    session->release(held.sequence, held.lsn <= answerable ? nullptr : &health.error());
  }
}

}  // namespace engram
