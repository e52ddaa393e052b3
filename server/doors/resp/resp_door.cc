// SPDX-License-Identifier: Apache-2.0
#include "server/doors/resp/resp_door.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/config/config.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

constexpr std::size_t kReadBytes = 16UL * 1024;
constexpr std::size_t kMostReadBytes = 1024UL * 1024;  // per turn, while a large bulk arrives
constexpr std::size_t kReadAheadBytes = 64UL * 1024;   // of commands that have to wait
constexpr std::size_t kFullOutputBytes = 1024UL * 1024;
constexpr int kCommandsPerTurn = 256;
constexpr std::size_t kKeptBytes = 64UL * 1024;        // a quiet client keeps no larger buffer
constexpr std::size_t kLargeReplyBytes = 64UL * 1024;  // is not copied

}  // namespace

RespDoor::RespDoor(Sessions& sessions, Services& services, std::function<void()> progressed)
    : services_(services),
      progressed_(std::move(progressed)),
      session_(sessions, services, *this) {}

bool RespDoor::wants_input() const noexcept {
  const bool is_choked = stall_ != Stall::kNone && input_.size() >= kReadAheadBytes;
  return !input_ended_ && !is_choked && !session_.client().close_after_reply;
}

bool RespDoor::takes_input() const noexcept {
  const bool reads_ahead = stall_ != Stall::kNone || more_;
  return !input_ended_ && !abandoned_ && !(reads_ahead && input_.size() >= kReadAheadBytes);
}

std::span<char> RespDoor::input_room() {
  const std::size_t wanted = std::clamp(parser_.bytes_missing(), kReadBytes, kMostReadBytes);
  const std::span<char> room = input_.writable(wanted);
  return room.first(std::min(room.size(), kMostReadBytes));
}

std::size_t RespDoor::unsent_bytes() const noexcept {
  return std::accumulate(
      behind_.begin(), behind_.end(), unsent().size(),
      [](std::size_t sum, const std::string& bytes) { return sum + bytes.size(); });
}

bool RespDoor::output_full() const noexcept {
  return unsent_bytes() + session_.pending_bytes() >= kFullOutputBytes;
}

bool RespDoor::is_full() const {
  return unsent_bytes() >= kFullOutputBytes;
}

void RespDoor::reply_owned(std::string&& bytes) {
  if (bytes.size() < kLargeReplyBytes) return reply(bytes);
  if (unsent().empty()) {
    output_ = std::move(bytes);
    sent_ = 0;
  } else {
    behind_.push_back(std::move(bytes));
  }
}

void RespDoor::execute() {
  // A killed client's commands are not executed any more. A request that still has to wait for
  // those in flight is not parsed again: it may be a large one, and each of them ends here.
  if (abandoned_ || (stall_ == Stall::kOrder && !session_.may_resume())) return;
  stall_ = Stall::kNone;
  const Client& client = session_.client();
  set_limits();
  int left = kCommandsPerTurn;
  while (left > 0 && input_.size() != 0 && !client.close_after_reply && !abandoned_ &&
         execute_next()) {
    --left;
  }
  more_ = left == 0 && input_.size() != 0;
  if (client.close_after_reply) input_.consume(input_.size());
  input_.shrink(kKeptBytes);
}

void RespDoor::set_limits() {
  knows_client_ = session_.client().authenticated || services_.config.requirepass.empty();
  parser_.set_limits(
      {.max_bulk_bytes = services_.config.proto_max_bulk_len, .authenticated = knows_client_});
}

/// Returns false if nothing more can be done for now.
bool RespDoor::execute_next() {
  if (output_full()) {
    stall_ = Stall::kOutput;
    return false;
  }
  if (!knows_client_) set_limits();
  const RequestParser::Outcome outcome = parser_.parse(input_.view());
  if (outcome == RequestParser::Outcome::kError) {
    refuse(parser_.error());
    return false;
  }
  if (outcome == RequestParser::Outcome::kIncomplete && is_overlong()) {
    log_warning("client " + std::to_string(session_.id()) +
                " is closed: it exceeded client-query-buffer-limit");
    refuse("ERR the request exceeds client-query-buffer-limit");
    return false;
  }
  if (outcome == RequestParser::Outcome::kRequest) {
    if (refuse_http(parser_.arguments())) return false;
    if (!session_.start(parser_.arguments())) {
      stall_ = Stall::kOrder;
      return false;
    }
  }
  input_.consume(parser_.consume());
  return outcome == RequestParser::Outcome::kRequest;
}

/// A web page may make a browser send an HTTP request to this port, with commands in its body: the
/// first or second line tells.
bool RespDoor::refuse_http(Arguments argv) {
  if (!equal_ignoring_case(argv[0], "post") && !equal_ignoring_case(argv[0], "host:")) return false;
  const Client& client = session_.client();
  log_warning("client " + std::to_string(client.id) + " (" + client.address +
              ") is closed: it speaks HTTP, perhaps through somebody's browser");
  abandon();
  return true;
}

/// As in Redis, the limit is on what waits to be a whole argument, not on the arguments.
bool RespDoor::is_overlong() const noexcept {
  return input_.size() - parser_.parsed_bytes() > services_.config.client_query_buffer_limit;
}

void RespDoor::refuse(std::string_view error) {
  std::string line;
  Client& client = session_.client();
  ReplyWriter(line, client.resp).error(error);
  session_.refuse(line);
  client.close_after_reply = client.is_heard_out = true;
}

std::string RespDoor::refusal(const Error& error) {
  std::string line;
  ReplyWriter(line, RespVersion::kResp2).error(misconf_error(error));
  return line;
}

void RespDoor::mark_sent(std::size_t bytes) {
  sent_ += bytes;
  if (sent_ == output_.size()) {
    output_.clear();
    sent_ = 0;
    if (!behind_.empty()) {
      output_ = std::move(behind_.front());
      behind_.pop_front();
    } else if (output_.capacity() > kKeptBytes) {
      output_.shrink_to_fit();
    }
  } else if (sent_ > output_.size() / 2) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
  if (!is_full()) session_.resume_parts();
}

bool RespDoor::can_continue() const noexcept {
  return more_ || (stall_ == Stall::kOutput && !output_full());
}

bool RespDoor::finished() const noexcept {
  if (abandoned_) return true;
  const bool ended =
      session_.client().close_after_reply || (input_ended_ && stall_ == Stall::kNone && !more_);
  return ended && quiet();
}

void RespDoor::refresh_client() {
  session_.refresh();
  Client& client = session_.client();
  client.input_bytes = input_.size();
  client.input_capacity = input_.capacity();
  client.output_bytes = unsent_bytes() + session_.pending_bytes();
}

std::size_t RespDoor::release_buffers() {
  const std::size_t before = input_.capacity() + output_.capacity();
  input_.fit();
  std::string().swap(output_);  // assignment would keep the memory
  sent_ = 0;
  parser_.release_memory();
  return before - input_.capacity() - output_.capacity();
}

}  // namespace engram
