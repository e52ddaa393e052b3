// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_door.h"

#include <optional>
#include <utility>

#include "server/config/config.h"
#include "server/doors/http/http_call.h"
#include "server/engine/keyspace.h"
#include "server/engine/not_writable.h"
#include "server/metrics/server_stats.h"

namespace engram {

HttpDoor::HttpDoor(Sessions& sessions, Services& services, std::function<void()> progressed)
    : Door(std::move(progressed)),
      sessions_(sessions),
      services_(services),
      intake_(services.config, [this] { invite_body(); }),
      session_(sessions, *this) {}

bool HttpDoor::execute_next() {
  if (output_full()) {
    stall_ = Stall::kOutput;
    return false;
  }
  if (!intake_.has_request() && !intake_.read(input_, services_.store.keyspace().now_ms())) {
    return false;
  }
  if (answer()) return true;
  stall_ = Stall::kOrder;
  return false;
}

/// In the place that its turn has; without one, the client sends its body unasked after a while.
void HttpDoor::invite_body() {
  session_.start(CommandKind::kNeutral,
                 [](Deferred place) { place.reply_rendered(std::string(kHttpContinue)); });
}

/// False: it has to wait for those in flight.
bool HttpDoor::answer() {
  const HttpRefusal* const refused = intake_.refusal();
  std::optional<RoutedRequest> routed;
  if (refused == nullptr) {
    const RouteMatch& match = intake_.match();
    routed.emplace(MatchedRequest(intake_.request(), *match.route, match.values), services_);
  }
  const CommandKind kind = routed ? routed->kind() : CommandKind::kNeutral;
  const auto begin = [&](Deferred place) {
    HttpReply reply(std::move(place), intake_.envelope(session_.id()));
    routed ? execute(*routed, kind, std::move(reply)) : reply.send(error_response(*refused));
  };
  if (!session_.start(kind, begin, routed && routed->route.writes_later)) return false;
  ++services_.stats.commands;
  Client& client = session_.client();
  if (intake_.is_cut_off()) client.is_heard_out = true;
  if (intake_.is_last()) client.close_after_reply = true;
  intake_.begin_next();
  return true;
}

void HttpDoor::execute(const RoutedRequest& routed, CommandKind kind, HttpReply reply) {
  const std::size_t most = services_.config.maxmemory;
  if (routed.route.takes_memory && changes_something(kind) && most != 0 &&
      sessions_.memory().exceeds(most, routed.request.body.size())) {
    return reply.send(error_response(429, "used memory exceeds maxmemory, the request takes more"));
  }
  services_.store.keyspace().set_touching(true);
  HttpCall call(routed, std::move(reply));
  routed.route.handler(call);
}

/// Whose change the journal cannot keep is answered without its id, which nobody has any more.
std::string HttpDoor::refusal(const Error& error) {
  const HttpResponse response = error_response(not_writable(error));
  return head_of(response, {}) + response.body;
}

/// Half a head may take no longer than a silent client, however slowly it comes.
std::int64_t HttpDoor::silent_until_ms() const {
  const std::int64_t patience_ms = services_.config.http_timeout * 1000;
  if (patience_ms <= 0) return 0;
  const std::int64_t head_since_ms = intake_.head_since_ms();
  return (head_since_ms != 0 ? head_since_ms : session_.client().active_ms) + patience_ms;
}

}  // namespace engram
