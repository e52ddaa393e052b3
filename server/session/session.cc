// SPDX-License-Identifier: Apache-2.0
#include "server/session/session.h"

#include <numeric>
#include <utility>

#include "server/commands/errors.h"
#include "server/engine/persistence.h"
#include "server/runtime/stats.h"

namespace engram {
namespace {

constexpr std::size_t kMostPending = 1024;
constexpr std::size_t kMostReadsPerWorker = 8;  // in flight: enough to keep the workers busy

/// Sequence numbers from here on are of steps of a transaction, not of places.
constexpr std::uint64_t kStep = std::uint64_t{1} << 63;

std::size_t argument_bytes(Arguments argv) {
  return std::accumulate(
      argv.begin(), argv.end(), std::size_t{0},
      [](std::size_t sum, std::string_view argument) { return sum + argument.size(); });
}

}  // namespace

Session::Session(Sessions& sessions, Services& services, ClientSink& sink)
    : sessions_(sessions),
      services_(services),
      sink_(sink),
      order_(sink),
      transaction_(*this, services) {
  client_.id = sessions.take_id();
  client_.connected_ms = client_.active_ms = services.store.keyspace().now_ms();
  sessions_.add(client_.id, *this);
}

Session::~Session() {
  sessions_.remove(client_.id);
}

/// Neighbours of one kind may be in flight together. Of reads only as many as keep the workers
/// busy, because those of other clients queue behind them.
bool Session::may_start(CommandKind kind) const noexcept {
  if (transaction_.is_running() || order_.size() >= kMostPending) return false;
  switch (kind) {
    case CommandKind::kNeutral:
      return true;
    case CommandKind::kRead:
      return order_.unanswered(CommandKind::kWrite) == 0 &&
             order_.unanswered(CommandKind::kRead) <
                 kMostReadsPerWorker * services_.store.workers().size();
    case CommandKind::kWrite:
      return order_.unanswered(CommandKind::kRead) == 0 && !services_.store.gate().is_closed();
    case CommandKind::kTransaction:
      return order_.unanswered() == 0 && !services_.store.gate().is_closed();
  }
  return false;
}

bool Session::must_wait(CommandKind kind) {
  kind_ = kind;
  if (may_start(kind)) return false;
  const bool changes = kind == CommandKind::kWrite || kind == CommandKind::kTransaction;
  if (changes && services_.store.gate().is_closed() && !std::exchange(waits_for_gate_, true)) {
    sessions_.wake_when_open(client_.id);
  }
  return true;
}

void Session::gate_opened() {
  waits_for_gate_ = false;
  sink_.progressed();
}

bool Session::is_queued(const CommandTable::Resolution& resolution) const noexcept {
  return transaction_.is_open() && (resolution.spec->flags & command_flag::kInMulti) == 0;
}

bool Session::start(Arguments argv) {
  const CommandTable::Resolution resolution = services_.commands.resolve(argv);
  const bool is_executed = resolution.spec != nullptr && !is_queued(resolution);
  if (must_wait(is_executed ? resolution.spec->kind() : CommandKind::kNeutral)) return false;
  ++services_.stats.commands;
  call(resolution, argv);
  return true;
}

bool Session::start(CommandKind kind, const std::function<void(Deferred reply)>& begin) {
  if (must_wait(kind)) return false;
  muted_ = false;
  const std::uint64_t place = order_.next();
  if (const Status health = write_health(kind); !health) {
    order_.reserve(kind, false, 0);
    order_.hold(place, 0);
    order_.fill(place, {});
    order_.release(place, &health.error());
    return true;
  }
  Persistence* const persistence = services_.store.persistence();
  const bool may_be_held =
      kind == CommandKind::kWrite && persistence != nullptr && persistence->holds_answers();
  order_.set_kept_back(may_be_held);
  begin(Deferred(sessions_, client_.id, client_.resp, 0));
  const Lsn lsn = persistence == nullptr ? 0 : persistence->seal();
  if (lsn != 0 && may_be_held) sessions_.hold(client_.id, place, lsn);
  order_.set_kept_back(false);
  return true;
}

void Session::refuse(std::string_view error_reply) {
  ++services_.stats.error_replies;
  if (client_.reply_mode == ReplyMode::kOn) order_.append(error_reply);
}

/// Executes one command. Its reply goes straight to the sink unless an earlier one is still due or
/// the client does not want it.
void Session::call(const CommandTable::Resolution& resolution, Arguments argv) {
  muted_ = client_.reply_mode == ReplyMode::kOff || client_.reply_mode == ReplyMode::kSkip;
  Persistence* const persistence = services_.store.persistence();
  const bool may_be_held =
      kind_ == CommandKind::kWrite && persistence != nullptr && persistence->holds_answers();
  const bool is_direct = order_.empty() && !muted_ && !may_be_held;
  std::string* const buffer = is_direct ? sink_.buffer() : nullptr;
  std::string detour;
  std::string& target = buffer != nullptr ? *buffer : detour;
  const std::size_t begin = target.size();
  const std::uint64_t place = order_.next();
  ReplyWriter writer(target, client_.resp);
  order_.set_kept_back(may_be_held);
  executing_ = true;
  execute(resolution, argv, writer);
  executing_ = false;
  if (target.size() > begin && target[begin] == '-') ++services_.stats.error_replies;
  const Lsn lsn = persistence == nullptr ? 0 : persistence->seal();
  if (lsn != 0 && may_be_held) hold_answer(place, lsn, argument_bytes(argv), detour);
  order_.set_kept_back(false);
  // CLIENT REPLY ON and RESET answer although their client was muted until now.
  if (!muted_ || client_.reply_mode == ReplyMode::kOn) order_.append(detour);
  advance_reply_mode();
}

void Session::execute(const CommandTable::Resolution& resolution, Arguments argv,
                      ReplyWriter& writer) {
  if (resolution.spec == nullptr) {
    if (transaction_.is_open()) transaction_.abort();
    return writer.error(resolution.error);
  }
  if (is_queued(resolution)) return queue(resolution, argv, writer);
  if (const Status health = write_health(kind_); !health) {
    return writer.error(misconf_error(health.error()));
  }
  client_.command = resolution.spec;
  client_.container = resolution.container;
  CommandContext context(argv, *resolution.spec, writer, client_, transaction_, services_);
  resolution.spec->handler(context);
}

void Session::queue(const CommandTable::Resolution& resolution, Arguments argv,
                    ReplyWriter& writer) {
  if ((resolution.spec->flags & command_flag::kNoMulti) != 0) {
    transaction_.abort();
    return writer.error("ERR Command not allowed inside a transaction");
  }
  if (const Status health = write_health(resolution.spec->kind()); !health) {
    transaction_.abort();
    return writer.error(misconf_error(health.error()));
  }
  if (!transaction_.queue(resolution, argv)) return services_.front_end.close_client(client_.id);
  writer.simple("QUEUED");
}

/// Fails if commands of that kind change something and changes cannot be kept.
Status Session::write_health(CommandKind kind) const {
  const Persistence* const persistence = services_.store.persistence();
  if (kind != CommandKind::kWrite || persistence == nullptr) return {};
  return persistence->health();
}

/// Makes the answer of the command that was just executed wait for the journal, whether it is there
/// already, in `answer`, or was promised for `place`. Until then the journal may have the command's
/// bytes in memory; they count as output, so that a client cannot fill it while the disk hangs.
void Session::hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes, std::string& answer) {
  const bool is_answered = order_.next() == place;
  if (is_answered) order_.reserve(kind_, muted_, answer.size());
  order_.hold(place, bytes);
  sessions_.hold(client_.id, place, lsn);
  if (is_answered) order_.fill(place, std::exchange(answer, {}));
}

/// After each command: SKIP begins with the command after the one that asked for it and lasts for
/// one.
void Session::advance_reply_mode() noexcept {
  if (client_.reply_mode == ReplyMode::kSkip) client_.reply_mode = ReplyMode::kOn;
  if (client_.reply_mode == ReplyMode::kSkipNext) client_.reply_mode = ReplyMode::kSkip;
}

std::uint64_t Session::defer(std::size_t expected_bytes) {
  if (!transaction_.is_in_step()) return order_.reserve(kind_, muted_, expected_bytes);
  transaction_.await_reply();
  return kStep;
}

void Session::complete(std::uint64_t sequence, std::string bytes) {
  if (sequence == kStep) return transaction_.complete_step(bytes);
  if (bytes.starts_with('-')) ++services_.stats.error_replies;
  order_.fill(sequence, std::move(bytes));
  if (!executing_) sink_.progressed();
}

void Session::release(std::uint64_t sequence, const Error* error) {
  order_.release(sequence, error);
  sink_.progressed();
}

}  // namespace engram
