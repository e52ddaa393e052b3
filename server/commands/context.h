// SPDX-License-Identifier: Apache-2.0
// The contract between a session and a command handler.
//
// A handler runs on the event loop and must not block. It either writes exactly one reply through
// `reply`, or calls defer() and writes nothing: the reply is then given later, on the event loop's
// thread, exactly once. Until it is, the session executes only commands of the same kind (reads
// with reads, writes with writes), and replies leave in the order of the commands. If the client
// has gone meanwhile, the reply is dropped.
//
// Arguments are views into the connection's input buffer: valid until the handler returns, at any
// alignment. Work that outlives the handler copies what it needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"
#include "server/commands/client.h"
#include "server/commands/front_end.h"
#include "server/commands/pause_control.h"
#include "server/commands/reply_places.h"
#include "server/commands/transaction_control.h"
#include "server/engine/store.h"
#include "server/resp/reply_writer.h"

namespace engram {

class CommandTable;
struct CommandSpec;
struct ServerConfig;
struct ServerStats;

/// What every command of one server shares. Threads: the event loop's only.
struct Services {
  Store& store;
  ServerConfig& config;
  ServerStats& stats;
  FrontEnd& front_end;
  ReplyPlaces& replies;
  PauseControl& pauses;
  const CommandTable& commands;
};

using Arguments = std::span<const std::string_view>;

/// The promise of one reply. Move-only, so that it is kept once; dropping it unkept answers an
/// error, so that a client never waits for ever. Threads: the event loop's only.
class Deferred {
 public:
  Deferred(ReplyPlaces& places, ClientId client, RespVersion version, std::size_t expected_bytes)
      : places_(&places),
        client_(client),
        sequence_(places.defer(client, expected_bytes)),
        version_(version) {}
  Deferred(Deferred&& other) noexcept
      : places_(std::exchange(other.places_, nullptr)),
        client_(other.client_),
        sequence_(other.sequence_),
        version_(other.version_) {}
  Deferred& operator=(Deferred&&) = delete;
  ~Deferred() {
    if (places_ != nullptr) {
      reply([](ReplyWriter& writer) { writer.error("ERR the command was abandoned unanswered"); });
    }
  }

  /// `render(ReplyWriter&)` writes exactly one reply, in the protocol the client spoke when it sent
  /// the command. To be called once.
  template <class Render>
  void reply(Render&& render) {
    std::string bytes;
    ReplyWriter writer(bytes, version_);
    std::forward<Render>(render)(writer);
    reply_rendered(std::move(bytes));
  }

  /// As reply(), with bytes that a worker has rendered already for version().
  void reply_rendered(std::string bytes) {
    std::exchange(places_, nullptr)->complete(client_, sequence_, std::move(bytes));
  }

  /// A part of the reply, in order, whole elements of it or none; reply_rendered() ends it. What
  /// was given leaves when its turn has come.
  void give_part(std::string bytes) { places_->extend(client_, sequence_, std::move(bytes)); }
  /// Whether another part is wanted now; if not, `resume` is called once it is. If the client goes
  /// before, `resume` is destroyed uncalled.
  [[nodiscard]] bool takes_part(std::function<void()> resume) {
    return places_->takes_part(client_, sequence_, std::move(resume));
  }
  /// Whether there is still somebody to answer.
  [[nodiscard]] bool is_awaited() const { return places_->is_there(client_); }

  /// Until it is given, so much more counts as unsent output.
  void expect(std::size_t bytes) { places_->expect(client_, sequence_, bytes); }

  /// The reply does not leave before the journal may acknowledge `lsn`: for what is recorded after
  /// the handler has returned, `bytes` or so. Before reply().
  void hold(Lsn lsn, std::size_t bytes = 0) { places_->hold(client_, sequence_, lsn, bytes); }

  [[nodiscard]] RespVersion version() const noexcept { return version_; }

 private:
  ReplyPlaces* places_;  // null once the reply was given
  ClientId client_;
  std::uint64_t sequence_;
  RespVersion version_;
};

/// One command being executed.
class CommandContext {
 public:
  CommandContext(Arguments arguments, const CommandSpec& command, ReplyWriter& writer,
                 Client& sender, TransactionControl& control, Services& shared)
      : argv(arguments),
        spec(command),
        reply(writer),
        client(sender),
        transaction(control),
        services(shared) {}

  const Arguments argv;     ///< the command's name included
  const CommandSpec& spec;  ///< of the subcommand, if it is one
  ReplyWriter& reply;
  Client& client;
  TransactionControl& transaction;  ///< of the client
  Services& services;

  /// Takes the reply out of this call's hands; see the head of this file. At most once per command.
  /// `expected_bytes` is about what the reply will hold: until it is given, so much counts as
  /// unsent output, and a client with much of that has to read before its next command is executed.
  /// Without an estimate, replies in flight are bounded in number only.
  [[nodiscard]] Deferred defer(std::size_t expected_bytes = 0) {
    return {services.replies, client.id, reply.version(), expected_bytes};
  }
};

}  // namespace engram
