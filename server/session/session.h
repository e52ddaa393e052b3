// SPDX-License-Identifier: Apache-2.0
// What a client is, whichever door it came through: who it says it is, the order of its requests
// and replies, and which of them wait for the journal.
//
// The ordering rule: neighbouring requests of one kind (reads, writes, or writes with a condition)
// may run in parallel, a change of kind waits for what is in flight, a transaction and an update,
// which writes by what it has read, wait for everything and everything waits for them, and replies
// leave in the order of the requests. Sessions do not wait for each other, except that nobody
// writes while a transaction runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/client.h"
#include "server/commands/context.h"
#include "server/session/reply_order.h"
#include "server/session/sessions.h"

namespace engram {

/// Threads: the event loop's only.
class Session {
 public:
  /// Both outlive it.
  Session(Sessions& sessions, ClientSink& sink);
  virtual ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] ClientId id() const noexcept { return client_.id; }
  Client& client() noexcept { return client_; }
  [[nodiscard]] const Client& client() const noexcept { return client_; }

  /// Begins a request: `begin` gets the promise of its reply. False: nothing was done, it has to
  /// wait for those in flight; the sink is told when it is worth another try. One that
  /// `writes_later` reads for long first, and sees to the transactions of others when it writes.
  bool start(CommandKind kind, const std::function<void(Deferred reply)>& begin,
             bool writes_later = false);

  /// Whether the request that was refused last may start now; if not, the sink will be told.
  [[nodiscard]] bool may_resume() { return !must_wait(kind_); }

  /// Goes on with replies that wait to be given in further parts. To be called when the sink has
  /// room again.
  void resume_parts();

  /// Replies that are due, in bytes, as far as they are known.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return order_.bytes(); }
  /// No reply is due.
  [[nodiscard]] bool quiet() const noexcept { return order_.empty(); }
  /// A transaction runs, to its end, whether or not its client is there to see it.
  [[nodiscard]] bool runs_transaction() const noexcept { return runs_transaction_; }

  /// What is being executed writes at once, and not as a step of a transaction.
  [[nodiscard]] bool is_writing() const noexcept { return writes_; }

  // What Sessions passes on.

  virtual std::uint64_t defer(std::size_t expected_bytes);
  virtual void extend(std::uint64_t sequence, std::string bytes);
  virtual bool takes_part(std::uint64_t sequence, std::function<void()> resume);
  virtual void complete(std::uint64_t sequence, std::string bytes);
  void expect(std::uint64_t sequence, std::size_t bytes) { order_.expect(sequence, bytes); }
  /// The place is not left before release().
  void hold(std::uint64_t sequence, std::size_t bytes) { order_.hold(sequence, bytes); }
  /// Sends what no request asked for, behind the replies that are due.
  void tell(std::string_view bytes);
  /// Bytes that are due or were given and wait to be sent.
  [[nodiscard]] std::size_t unread_bytes() const { return order_.bytes() + sink_.unsent_bytes(); }
  /// The place may be left; with an error, that takes the reply's place.
  void release(std::uint64_t sequence, const Error* error);
  void gate_opened();
  /// The pause that a request waited for has ended.
  void resume() { sink_.progressed(); }

 protected:
  /// As may_start() for what is to be executed now. If not, the sink will be told.
  bool must_wait(CommandKind kind);
  /// Whether the journal may have to acknowledge a change of that kind before its answer leaves.
  [[nodiscard]] bool may_be_held(CommandKind kind) const {
    return changes_something(kind) && holds_answers();
  }
  /// Executes `body`, and asks the journal for what it changed: the LSN that its answer has to wait
  /// for, or 0. Keys that had expired when it read them are a frame of their own, for which nobody
  /// waits. Until the caller has held the answer back and called
  /// order_.set_kept_back(false), no reply leaves if `is_kept_back`.
  template <typename Body>
  Lsn execute_and_seal(bool is_kept_back, const Body& body) {
    if (is_kept_back) order_.set_kept_back(true);
    executing_ = true;
    body();
    executing_ = false;
    const Lsn lsn = seal();
    return changes_something(kind_) ? lsn : 0;
  }
  /// Fails if requests of that kind change something and changes cannot be kept.
  [[nodiscard]] Status write_health(CommandKind kind) const {
    return changes_something(kind) ? health() : Status();
  }

  Sessions& sessions_;
  ClientSink& sink_;
  Client client_;
  ReplyOrder order_;
  CommandKind kind_ = CommandKind::kNeutral;  // of the request being executed, or refused last
  bool muted_ = false;                        // so is its reply
  bool writes_ = false;                       // it writes, and at once
  bool executing_ = false;
  bool runs_transaction_ = false;

 private:
  [[nodiscard]] bool may_start(CommandKind kind) const noexcept;
  /// CLIENT PAUSE keeps such requests waiting.
  [[nodiscard]] bool is_paused(CommandKind kind) const noexcept;
  [[nodiscard]] bool holds_answers() const;
  [[nodiscard]] Status health() const;
  Lsn seal();

  bool waits_for_gate_ = false;
  std::vector<std::function<void()>> waiting_for_room_;  // with parts of replies
};

}  // namespace engram
