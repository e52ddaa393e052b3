// SPDX-License-Identifier: Apache-2.0
#include "server/session/command_session.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "server/commands/errors.h"
#include "server/config/config.h"
#include "server/metrics/server_stats.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

/// The sequence number of a step of a transaction, which has no place of its own.
constexpr std::uint64_t kStep = std::uint64_t{1} << 62;

std::size_t argument_bytes(Arguments argv) {
  return std::accumulate(
      argv.begin(), argv.end(), std::size_t{0},
      [](std::size_t sum, std::string_view argument) { return sum + argument.size(); });
}

}  // namespace

CommandSession::CommandSession(Sessions& sessions, Services& services, ClientSink& sink)
    : Session(sessions, sink),
      services_(services),
      calls_(services, client_),
      transaction_(*this, services) {
  client_.authenticated = services.config.requirepass.empty();
}

inline bool CommandSession::is_locked_out(const CommandSpec& spec) const noexcept {
  return !client_.authenticated && (spec.flags & command_flag::kNoAuth) == 0 &&
         !services_.config.requirepass.empty();
}

bool CommandSession::is_queued(const CommandTable::Resolution& resolution) const noexcept {
  return transaction_.is_open() && (resolution.spec->flags & command_flag::kInMulti) == 0;
}

/// What ends the pause does not wait for it.
bool CommandSession::is_paused(const CommandTable::Resolution& resolution) const noexcept {
  const CommandSpec* const spec = resolution.spec;
  if (spec == nullptr || is_locked_out(*spec)) return false;
  if (resolution.container != nullptr && spec->name == "unpause") return false;
  const bool writes = spec->kind() == CommandKind::kTransaction
                          ? transaction_.writes()
                          : (spec->flags & command_flag::kWrite) != 0;
  return writes || sessions_.paused() == Pause::kAll;
}

bool CommandSession::is_out_of_memory(Arguments argv) {
  const std::size_t most = services_.config.maxmemory;
  return most != 0 && sessions_.memory().exceeds(most, argument_bytes(argv));
}

bool CommandSession::start(Arguments argv) {
  CommandTable::Resolution resolution = services_.commands.resolve(argv);
  if (resolution.spec != nullptr) {
    resolution.spec = &resolution.spec->in_effect(argv, services_.store);
  }
  if (sessions_.paused() != Pause::kNone && is_paused(resolution)) {
    kind_ = CommandKind::kNeutral;
    sessions_.wake_after_pause(client_.id);
    return false;
  }
  const bool is_executed = resolution.spec != nullptr && !is_queued(resolution);
  if (must_wait(is_executed ? resolution.spec->kind() : CommandKind::kNeutral)) return false;
  ++services_.stats.commands;
  call(resolution, argv);
  return true;
}

void CommandSession::refuse(std::string_view error_reply) {
  services_.stats.count_error(error_reply);
  if (client_.reply_mode == ReplyMode::kOn) order_.append(error_reply);
}

/// Executes one command. Its reply goes straight to the sink unless an earlier one is still due or
/// the client does not want it.
void CommandSession::call(const CommandTable::Resolution& resolution, Arguments argv) {
  muted_ = client_.reply_mode == ReplyMode::kOff || client_.reply_mode == ReplyMode::kSkip;
  writes_ = changes_something(kind_) && (resolution.spec->flags & command_flag::kWritesLater) == 0;
  const bool is_kept_back = may_be_held(kind_);
  const bool is_direct = order_.empty() && !muted_ && !is_kept_back;
  std::string* const buffer = is_direct ? sink_.buffer() : nullptr;
  std::string detour;
  std::string& target = buffer != nullptr ? *buffer : detour;
  const std::size_t begin = target.size();
  const std::uint64_t place = order_.next();
  ReplyWriter writer(target, client_.resp);
  calls_.begin(resolution, argv);
  Fate fate = Fate::kExecuted;
  const Lsn lsn = execute_and_seal(is_kept_back, [&] { fate = execute(resolution, argv, writer); });
  // A reply that was deferred is counted where it is given.
  const bool is_answered = order_.next() == place;
  const bool is_error = target.size() > begin && target[begin] == '-' && is_answered;
  if (is_error) services_.stats.count_error(std::string_view(target).substr(begin));
  is_answered ? note(resolution, fate, is_error) : calls_.skip();
  if (lsn != 0 && is_kept_back) hold_answer(place, lsn, argument_bytes(argv), detour);
  if (is_kept_back) order_.set_kept_back(false);
  // CLIENT REPLY ON and RESET answer although their client was muted until now.
  if (!detour.empty() && (!muted_ || client_.reply_mode == ReplyMode::kOn)) {
    order_.take(std::move(detour));
  }
  if (!runs_transaction_) advance_reply_mode();
  if (fate == Fate::kExecuted && !sessions_.monitors().empty()) show(*resolution.spec, argv);
  if (client_.monitors) [[unlikely]]
    sessions_.monitors().add(client_.id);
}

/// What has been answered.
void CommandSession::note(const CommandTable::Resolution& resolution, Fate fate, bool is_error) {
  if (fate == Fate::kExecuted) return calls_.end(is_error);
  calls_.skip();
  const bool is_known = resolution.number != CommandTable::kNoNumber;
  if (is_error && is_known) services_.stats.calls.count_rejection(resolution.number);
}

/// Not what changes the server itself, as in Redis: it may hold what others are not to know.
void CommandSession::show(const CommandSpec& spec, Arguments argv) {
  if ((spec.flags & command_flag::kAdmin) != 0) return;
  sessions_.monitors().show(spec, argv, client_, [this](ClientId id) {
    log_warning("client " + std::to_string(id) + " is closed: it does not read what MONITOR shows");
    services_.front_end.close_client(id);
  });
}

CommandSession::Fate CommandSession::execute(const CommandTable::Resolution& resolution,
                                             Arguments argv, ReplyWriter& writer) {
  if (resolution.spec == nullptr) {
    reject(services_.commands.refusal(argv), argv[0], writer);
    return Fate::kRejected;
  }
  if (is_locked_out(*resolution.spec)) {
    reject(kNoAuthError, argv[0], writer);
    return Fate::kRejected;
  }
  if (is_queued(resolution)) {
    queue(resolution, argv, writer);
    return Fate::kQueued;
  }
  if (const Status health = write_health(kind_); !health) {
    writer.error(misconf_error(health.error()));
    return Fate::kRejected;
  }
  if ((resolution.spec->flags & command_flag::kDenyOom) != 0 && is_out_of_memory(argv)) {
    writer.error(kOomError);
    return Fate::kRejected;
  }
  client_.command = resolution.spec;
  client_.container = resolution.container;
  services_.store.keyspace().set_touching(!client_.no_touch);
  CommandContext context(argv, *resolution.spec, writer, client_, transaction_, services_);
  resolution.spec->handler(context);
  return Fate::kExecuted;
}

/// What cannot be queued spoils the transaction; an EXEC that cannot be read ends it.
void CommandSession::reject(std::string_view error, std::string_view name, ReplyWriter& writer) {
  const CommandSpec* const command = services_.commands.find(name);
  if (command != nullptr && command->kind() == CommandKind::kTransaction) {
    transaction_.discard();
    if (error.starts_with("ERR ")) error.remove_prefix(4);
    return writer.error("EXECABORT Transaction discarded because of: " + std::string(error));
  }
  if (transaction_.is_open()) transaction_.abort();
  writer.error(error);
}

void CommandSession::queue(const CommandTable::Resolution& resolution, Arguments argv,
                           ReplyWriter& writer) {
  if ((resolution.spec->flags & command_flag::kNoMulti) != 0) {
    transaction_.abort();
    return writer.error("ERR Command not allowed inside a transaction");
  }
  if (const Status health = write_health(resolution.spec->kind()); !health) {
    transaction_.abort();
    return writer.error(misconf_error(health.error()));
  }
  // Whatever it is: a queue takes memory, too.
  if (is_out_of_memory(argv)) {
    transaction_.abort();
    return writer.error(kOomError);
  }
  if (!transaction_.queue(resolution, argv)) {
    transaction_.discard();
    client_.close_after_reply = client_.is_heard_out = true;
    return writer.error("ERR the transaction exceeds client-query-buffer-limit, it is discarded");
  }
  writer.simple("QUEUED");
}

/// Makes the answer of the command that was just executed wait for the journal, whether it is there
/// already, in `answer`, or was promised for `place`. Until then the journal may have the command's
/// bytes in memory; they count as output, so that a client cannot fill it while the disk hangs.
void CommandSession::hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes,
                                 std::string& answer) {
  const bool is_answered = order_.next() == place;
  if (is_answered) order_.reserve(kind_, muted_, answer.size());
  sessions_.hold(client_.id, place, lsn, bytes);
  if (is_answered) order_.fill(place, std::exchange(answer, {}));
}

/// After each command: SKIP begins with the command after the one that asked for it and lasts for
/// one.
void CommandSession::advance_reply_mode() noexcept {
  if (client_.reply_mode == ReplyMode::kSkip) client_.reply_mode = ReplyMode::kOn;
  if (client_.reply_mode == ReplyMode::kSkipNext) client_.reply_mode = ReplyMode::kSkip;
}

std::uint64_t CommandSession::defer(std::size_t expected_bytes) {
  if (!transaction_.is_in_step()) {
    // What a transaction answers depends on its steps, which may end the silence.
    const bool is_muted = muted_ && kind_ != CommandKind::kTransaction;
    const std::uint64_t sequence = order_.reserve(kind_, is_muted, expected_bytes);
    calls_.defer(sequence);
    return sequence;
  }
  calls_.defer(kStep);
  transaction_.await_reply();
  return kStep;
}

void CommandSession::extend(std::uint64_t sequence, std::string bytes) {
  if (sequence == kStep) return transaction_.extend_step(bytes);
  Session::extend(sequence, std::move(bytes));
}

/// A transaction answers as a whole, and bounds that itself.
bool CommandSession::takes_part(std::uint64_t sequence, std::function<void()> resume) {
  return sequence == kStep || Session::takes_part(sequence, std::move(resume));
}

void CommandSession::complete(std::uint64_t sequence, std::string bytes) {
  const bool is_error = bytes.starts_with('-');
  calls_.complete(sequence, is_error);
  if (sequence == kStep) return transaction_.complete_step(bytes);
  if (is_error) services_.stats.count_error(bytes);
  Session::complete(sequence, std::move(bytes));
}

}  // namespace engram
