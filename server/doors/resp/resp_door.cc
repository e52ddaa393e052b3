// SPDX-License-Identifier: Apache-2.0
#include "server/doors/resp/resp_door.h"

#include <utility>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/config/config.h"
#include "server/runtime/log.h"

namespace engram {
RespDoor::RespDoor(Sessions& sessions, Services& services, std::function<void()> progressed)
    : Door(std::move(progressed)), services_(services), session_(sessions, services, *this) {}

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

/// Answers `error`, a whole error line, to input that is not taken. Nothing more is executed.
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

std::int64_t RespDoor::silent_until_ms() const {
  const Client& client = session_.client();
  return services_.config.timeout > 0 ? client.active_ms + services_.config.timeout * 1000 : 0;
}

void RespDoor::refresh_client() {
  session_.refresh();
  Door::refresh_client();
}

}  // namespace engram
