// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <utility>

#include "core/assert.h"
#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/engine/persistence.h"
#include "server/net/socket.h"
#include "server/runtime/log.h"
#include "server/runtime/stats.h"

namespace engram {
namespace {

constexpr std::size_t kReadBytes = 16UL * 1024;
constexpr std::size_t kMostReadBytes = 1024UL * 1024;  // per turn, while a large bulk arrives
constexpr std::size_t kReadAheadBytes = 64UL * 1024;   // of commands that have to wait
constexpr std::size_t kFullOutputBytes = 1024UL * 1024;
constexpr std::size_t kMostPending = 1024;
constexpr std::size_t kMostReadsPerWorker = 8;  // in flight: enough to keep the workers busy
constexpr int kCommandsPerTurn = 256;
constexpr std::size_t kKeptBytes = 64UL * 1024;  // a quiet connection keeps no larger buffer

/// What the first or second line of an HTTP request starts with: a web page may make a browser send
/// one to this port, with commands in its body.
bool is_http(std::string_view name) {
  return equal_ignoring_case(name, "post") || equal_ignoring_case(name, "host:");
}

std::size_t argument_bytes(Arguments argv) {
  return std::accumulate(
      argv.begin(), argv.end(), std::size_t{0},
      [](std::size_t sum, std::string_view argument) { return sum + argument.size(); });
}

}  // namespace

Connection::Connection(ClientId id, UniqueFd fd, Services& services)
    : fd_(std::move(fd)), services_(services) {
  client_.id = id;
  client_.fd = fd_.get();
  client_.address = peer_name(fd_.get());
  client_.local_address = local_name(fd_.get());
  client_.connected_ms = client_.active_ms = services.store.keyspace().now_ms();
}

void Connection::receive() {
  const bool read_ahead = stall_ != Stall::kNone || more_;
  if (input_ended_ || failed_ || (read_ahead && input_.size() >= kReadAheadBytes)) return;
  const std::size_t room = std::clamp(parser_.bytes_missing(), kReadBytes, kMostReadBytes);
  const std::span<char> space = input_.writable(room);
  if (space.empty()) return abandon();
  const ssize_t got = ::recv(fd_.get(), space.data(), std::min(space.size(), kMostReadBytes), 0);
  if (got < 0) {
    if (errno != EAGAIN && errno != EINTR) abandon();
    return;
  }
  input_ended_ = got == 0;
  input_.commit(static_cast<std::size_t>(got));
  services_.stats.input_bytes += static_cast<std::uint64_t>(got);
  client_.active_ms = services_.store.keyspace().now_ms();
  if (input_.size() > services_.config.client_query_buffer_limit) {
    log_warning("client " + std::to_string(client_.id) +
                " is closed: it exceeded client-query-buffer-limit");
    abandon();
  }
}

bool Connection::output_full() const noexcept {
  return unsent() + pending_bytes_ >= kFullOutputBytes;
}

/// The ordering rule: neighbours of one kind may be in flight together. Of reads only as many as
/// keep the workers busy, because those of other clients queue behind them.
bool Connection::may_start(CommandKind kind) const noexcept {
  const auto unanswered = [this](CommandKind of) {
    return unanswered_[static_cast<std::size_t>(of)];
  };
  if (pending_.size() >= kMostPending) return false;
  if (kind == CommandKind::kRead) {
    return unanswered(CommandKind::kWrite) == 0 &&
           unanswered(CommandKind::kRead) < kMostReadsPerWorker * services_.store.workers().size();
  }
  if (kind == CommandKind::kWrite) return unanswered(CommandKind::kRead) == 0;
  return true;
}

void Connection::execute() {
  // A killed client's commands are not executed any more. A request that still has to wait for
  // those in flight is not parsed again: it may be a large one, and each of them ends here.
  if (failed_ || (stall_ == Stall::kOrder && !may_start(kind_))) return;
  stall_ = Stall::kNone;
  parser_.set_limits({.max_bulk_bytes = services_.config.proto_max_bulk_len});
  int left = kCommandsPerTurn;
  while (left > 0 && input_.size() != 0 && !client_.close_after_reply && execute_next()) --left;
  more_ = left == 0 && input_.size() != 0;
  if (client_.close_after_reply) input_.consume(input_.size());
  input_.shrink(kKeptBytes);
}

/// Returns false if nothing more can be done for now.
bool Connection::execute_next() {
  if (output_full()) {
    stall_ = Stall::kOutput;
    return false;
  }
  const RequestParser::Outcome outcome = parser_.parse(input_.view());
  if (outcome == RequestParser::Outcome::kError) {
    refuse_protocol_error();
    return false;
  }
  if (outcome == RequestParser::Outcome::kRequest && !start(parser_.arguments())) {
    stall_ = Stall::kOrder;
    return false;
  }
  input_.consume(parser_.consume());
  return outcome == RequestParser::Outcome::kRequest;
}

void Connection::refuse_protocol_error() {
  std::string line;
  ReplyWriter(line, client_.resp).error(parser_.error());
  if (client_.reply_mode == ReplyMode::kOn) write_reply(line);
  ++services_.stats.error_replies;
  client_.close_after_reply = true;
}

/// Returns false if the command has to wait for those in flight.
bool Connection::start(Arguments argv) {
  const CommandTable::Resolution resolution = services_.commands.resolve(argv);
  kind_ = resolution.spec == nullptr ? CommandKind::kNeutral : resolution.spec->kind();
  if (!may_start(kind_)) return false;
  if (resolution.spec == nullptr && is_http(argv[0])) {
    log_warning("client " + std::to_string(client_.id) + " (" + client_.address +
                ") is closed: it speaks HTTP, perhaps through somebody's browser");
    abandon();
    return false;
  }
  ++services_.stats.commands;
  call(resolution, argv);
  return true;
}

/// Executes one command. Its reply goes straight to the output unless an earlier one is still due
/// or the client does not want it.
void Connection::call(const CommandTable::Resolution& resolution, Arguments argv) {
  muted_ = client_.reply_mode == ReplyMode::kOff || client_.reply_mode == ReplyMode::kSkip;
  std::string detour;
  Persistence* const persistence = services_.store.persistence();
  const bool may_be_held =
      kind_ == CommandKind::kWrite && persistence != nullptr && persistence->holds_answers();
  const bool direct = pending_.empty() && !muted_ && !may_be_held;
  const std::uint64_t place = first_pending_ + pending_.size();
  keeps_back_ = may_be_held;
  std::string& target = direct ? output_ : detour;
  const std::size_t start = target.size();
  ReplyWriter writer(target, client_.resp);
  if (resolution.spec == nullptr) {
    writer.error(resolution.error);
  } else if (const Status health = write_health(); !health) {
    writer.error(misconf_error(health.error()));
  } else {
    client_.command = resolution.spec;
    client_.container = resolution.container;
    CommandContext context(argv, *resolution.spec, writer, client_, services_);
    resolution.spec->handler(context);
  }
  if (target.size() > start && target[start] == '-') ++services_.stats.error_replies;
  const Lsn lsn = persistence == nullptr ? 0 : persistence->seal();
  if (lsn != 0 && may_be_held) hold_answer(place, lsn, argument_bytes(argv), detour);
  keeps_back_ = false;
  release_ready();
  // CLIENT REPLY ON and RESET answer although their client was muted until now.
  if (!direct && (!muted_ || client_.reply_mode == ReplyMode::kOn)) write_reply(detour);
  advance_reply_mode();
}

/// Fails if the command writes and writes cannot be kept.
Status Connection::write_health() const {
  const Persistence* const persistence = services_.store.persistence();
  if (kind_ != CommandKind::kWrite || persistence == nullptr) return {};
  return persistence->health();
}

/// Makes the answer of the command that was just executed wait for the journal, whether it is there
/// already, in `answer`, or was promised for `place`. Until then the journal may have the command's
/// bytes in memory; they count as output, so that a client cannot fill it while the disk hangs.
void Connection::hold_answer(std::uint64_t place, Lsn lsn, std::size_t bytes, std::string& answer) {
  const bool is_answered = first_pending_ + pending_.size() == place;
  if (is_answered) defer(answer.size());
  Pending& pending = pending_[place - first_pending_];
  pending.held_bytes = bytes;
  pending_bytes_ += bytes;
  services_.front_end.hold_reply(client_.id, place, lsn);
  if (is_answered) complete(place, std::exchange(answer, {}));
}

/// Appends a reply in the order of the commands.
void Connection::write_reply(std::string_view bytes) {
  if (pending_.empty()) {
    output_.append(bytes);
    return;
  }
  pending_.back().following.append(bytes);
  pending_bytes_ += bytes.size();
}

/// After each command: SKIP begins with the command after the one that asked for it and lasts for
/// one.
void Connection::advance_reply_mode() noexcept {
  if (client_.reply_mode == ReplyMode::kSkip) client_.reply_mode = ReplyMode::kOn;
  if (client_.reply_mode == ReplyMode::kSkipNext) client_.reply_mode = ReplyMode::kSkip;
}

std::uint64_t Connection::defer(std::size_t expected_bytes) {
  pending_.push_back({.kind = kind_, .muted = muted_, .expected_bytes = expected_bytes});
  pending_bytes_ += expected_bytes;
  ++unanswered_[static_cast<std::size_t>(kind_)];
  return first_pending_ + pending_.size() - 1;
}

void Connection::complete(std::uint64_t sequence, std::string bytes) {
  ENGRAM_ASSERT(sequence - first_pending_ < pending_.size());
  Pending& pending = pending_[sequence - first_pending_];
  ENGRAM_ASSERT(!pending.answered);
  pending.answered = true;
  pending_bytes_ -= pending.expected_bytes;
  --unanswered_[static_cast<std::size_t>(pending.kind)];
  if (bytes.starts_with('-')) ++services_.stats.error_replies;
  if (!pending.muted) {
    pending_bytes_ += bytes.size();
    pending.reply = std::move(bytes);
  }
  release_ready();
}

void Connection::hold(std::uint64_t sequence) {
  pending_[sequence - first_pending_].held = true;
}

void Connection::release(std::uint64_t sequence, std::string_view error) {
  ENGRAM_ASSERT(sequence - first_pending_ < pending_.size());
  Pending& pending = pending_[sequence - first_pending_];
  pending.held = false;
  pending_bytes_ -= std::exchange(pending.held_bytes, 0);
  if (!error.empty() && !pending.muted) pending.error = error;
  release_ready();
}

void Connection::release_ready() {
  if (keeps_back_) return;
  while (!pending_.empty() && pending_.front().answered && !pending_.front().held) {
    const Pending& front = pending_.front();
    output_.append(front.error.empty() ? front.reply : front.error).append(front.following);
    pending_bytes_ -= front.reply.size() + front.following.size();
    pending_.pop_front();
    ++first_pending_;
  }
}

void Connection::send() {
  while (unsent() != 0 && !failed_) {
    const ssize_t taken = ::send(fd_.get(), output_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) abandon();
      break;
    }
    sent_ += static_cast<std::size_t>(taken);
    services_.stats.output_bytes += static_cast<std::uint64_t>(taken);
  }
  if (unsent() == 0) {
    output_.clear();
    sent_ = 0;
    if (output_.capacity() > kKeptBytes) output_.shrink_to_fit();
  } else if (sent_ > output_.size() / 2) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
}

bool Connection::can_continue() const noexcept {
  return more_ || (stall_ == Stall::kOutput && !output_full());
}

Interest Connection::wanted_interest() const noexcept {
  const bool choked = stall_ != Stall::kNone && input_.size() >= kReadAheadBytes;
  return {.readable = !input_ended_ && !choked && !client_.close_after_reply,
          .writable = unsent() != 0};
}

bool Connection::finished() const noexcept {
  if (failed_) return true;
  const bool ended =
      client_.close_after_reply || (input_ended_ && stall_ == Stall::kNone && !more_);
  return ended && quiet();
}

void Connection::refresh_sizes() noexcept {
  client_.input_bytes = input_.size();
  client_.input_capacity = input_.capacity();
  client_.output_bytes = unsent() + pending_bytes_;
}

}  // namespace engram
