// SPDX-License-Identifier: Apache-2.0
// The sessions of one host, by id: where promised replies find their session again, and where
// replies wait for the journal.
#pragma once

#include <deque>
#include <functional>
#include <set>

#include <tsl/robin_map.h>

#include "server/commands/pause_control.h"
#include "server/commands/reply_places.h"
#include "server/engine/store.h"
#include "server/runtime/memory.h"
#include "server/runtime/memory_gauge.h"
#include "server/runtime/stats.h"

namespace engram {

class Session;

/// Threads: the event loop's only.
class Sessions final : public ReplyPlaces, public PauseControl {
 public:
  /// Both outlive it.
  Sessions(Store& store, ServerStats& stats) noexcept : store_(store), stats_(stats) {}

  [[nodiscard]] Store& store() const noexcept { return store_; }
  [[nodiscard]] ServerStats& stats() const noexcept { return stats_; }

  /// Of the process.
  MemoryGauge& memory() noexcept { return memory_; }

  /// An id that no session of this host has had.
  [[nodiscard]] ClientId take_id() noexcept { return ++last_id_; }

  // A session adds and removes itself.
  void add(ClientId id, Session& session) { sessions_.emplace(id, &session); }
  void remove(ClientId id) {
    sessions_.erase(id);
    paused_.erase(id);
  }

  /// Null if it has gone.
  [[nodiscard]] Session* find(ClientId id) const;

  std::uint64_t defer(ClientId id, std::size_t expected_bytes) override;
  void expect(ClientId id, std::uint64_t sequence, std::size_t bytes) override;
  void hold(ClientId id, std::uint64_t sequence, Lsn lsn, std::size_t bytes) override;
  void extend(ClientId id, std::uint64_t sequence, std::string bytes) override;
  bool takes_part(ClientId id, std::uint64_t sequence, std::function<void()> resume) override;
  [[nodiscard]] bool is_there(ClientId id) const override { return find(id) != nullptr; }
  void complete(ClientId id, std::uint64_t sequence, std::string bytes) override;

  /// Tells the session's sink that it may go on, once the gate of transactions is open.
  void wake_when_open(ClientId id);

  void pause(Pause what, std::int64_t until_ms) override;
  void end_pause() override;
  [[nodiscard]] std::size_t paused_sessions() const override { return paused_.size(); }
  [[nodiscard]] Pause paused() const noexcept { return pause_; }
  /// Of a pause, in unix milliseconds.
  [[nodiscard]] std::int64_t pause_ends_ms() const noexcept { return pause_ends_ms_; }
  /// Tells the session's sink that it may go on, once the pause has ended.
  void wake_after_pause(ClientId id) { paused_.insert(id); }
  [[nodiscard]] bool waits_for_pause(ClientId id) const { return paused_.contains(id); }
  /// Ends a pause whose time is over. To be called in each turn.
  void end_pause_if_due();

  /// Lets go of the replies whose changes the journal has by now; if it cannot keep them, of all,
  /// with an error in their place. To be called in each turn: before sessions execute, so that they
  /// send what was held; and after, so that what they have changed is on its way to the disk as one
  /// batch.
  void release_held();

 private:
  /// A reply that leaves once the journal may acknowledge `lsn`.
  struct HeldReply {
    Lsn lsn;
    ClientId client;
    std::uint64_t sequence;
  };

  Store& store_;
  ServerStats& stats_;
  MemoryGauge memory_{allocated_bytes};
  tsl::robin_map<ClientId, Session*> sessions_;
  std::deque<HeldReply> held_;  // by LSN
  Pause pause_ = Pause::kNone;
  std::int64_t pause_ends_ms_ = 0;
  std::set<ClientId> paused_;  // have a command that waits
  ClientId last_id_ = 0;
};

}  // namespace engram
