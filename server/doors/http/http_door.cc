// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_door.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/hash.h"
#include "core/text.h"
#include "server/config/config.h"
#include "server/config/password.h"
#include "server/doors/http/http_call.h"
#include "server/engine/keyspace.h"
#include "server/engine/not_writable.h"
#include "server/metrics/server_stats.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// Reading them keeps the loop, and with it all clients, for some 50 ms.
constexpr std::size_t kMostJsonBytes = 8UL * 1024 * 1024;

/// The host of "host:port", "[address]:port", or one of them without the port.
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

/// A name that only means this computer, or an address: nothing that somebody else can make lead
/// here.
bool is_local_or_address(std::string_view host) {
  return host.starts_with('[') || equal_ignoring_case(host, "localhost") ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// A body that does not say what it is is taken for JSON.
bool takes_type(const Route& route, std::string_view type) {
  return type.empty() || equal_ignoring_case(type, kJsonType) ||
         (!route.binary_type.empty() && equal_ignoring_case(type, route.binary_type));
}

bool is_binary(const Route& route, const HttpRequest& request) {
  return !route.binary_type.empty() && equal_ignoring_case(request.media_type(), route.binary_type);
}

HttpRefusal large_json() {
  return {413, "a body of JSON may have " + std::to_string(kMostJsonBytes) + " bytes"};
}

bool is_echoed(std::string_view id) {
  constexpr std::size_t kMostBytes = 128;
  return !id.empty() && id.size() <= kMostBytes &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~'; });
}

}  // namespace

HttpDoor::HttpDoor(Sessions& sessions, Services& services, std::function<void()> progressed)
    : Door(std::move(progressed)),
      sessions_(sessions),
      services_(services),
      session_(sessions, *this) {}

bool HttpDoor::execute_next() {
  if (output_full()) {
    stall_ = Stall::kOutput;
    return false;
  }
  if (step_ == Step::kReading && !read()) return false;
  if (answer()) return true;
  stall_ = Stall::kOrder;
  return false;
}

/// Whether a request is whole, or refused.
bool HttpDoor::read() {
  while (step_ == Step::kReading) {
    const auto [outcome, consumed] = parse();
    input_.consume(consumed);
    if (began_ms_ == 0 && parser_.is_amid()) began_ms_ = services_.store.keyspace().now_ms();
    if (has_head_ && has_large_json(parser_.request().body.size())) {
      refuse(large_json());
      return true;
    }
    if (outcome == HttpParser::Outcome::kIncomplete) return step_ == Step::kRefused;
    if (outcome == HttpParser::Outcome::kHead) look_at_head();
    if (outcome == HttpParser::Outcome::kRefused) {
      has_head_ = false;
      refuse(parser_.refusal());
    }
    if (outcome == HttpParser::Outcome::kRequest) step_ = Step::kWhole;
  }
  return true;
}

/// A body that finds no room is refused as one whose buffer does not.
HttpParser::Progress HttpDoor::parse() {
  try {
    return parser_.parse(input_.view(), services_.config.http_max_body);
  } catch (const std::bad_alloc&) {
    refuse_input();
    return {HttpParser::Outcome::kIncomplete, 0};
  }
}

/// Whether the request whose head is there has so many bytes of JSON, and that is too many.
bool HttpDoor::has_large_json(std::size_t bytes) const {
  return bytes > kMostJsonBytes && !is_binary(*match_.route, parser_.request());
}

/// A request that is refused before its body has come is the last one: what follows may be the
/// body.
void HttpDoor::look_at_head() {
  const HttpRequest& request = parser_.request();
  has_head_ = true;
  if (auto refused = check_head()) return refuse(std::move(*refused));
  if (!request.has_body || !request.is_http_1_1 || request.field("expect").empty()) return;
  // In the place that its turn has; without one, the client sends its body unasked after a while.
  session_.start(CommandKind::kNeutral,
                 [](Deferred place) { place.reply_rendered(std::string(kContinue)); });
}

std::optional<HttpRefusal> HttpDoor::check_head() {
  const HttpRequest& request = parser_.request();
  match_ = find_route(request.method, split_target(request.target).path);
  if (auto refused = check_origin()) return refused;
  if ((match_.route == nullptr || !match_.route->is_public) && !is_authorized()) {
    return HttpRefusal{401,
                       "a password is needed: Authorization: Bearer <password>, or api-key: "
                       "<password>"};
  }
  if (match_.route == nullptr) return match_.refusal;
  const std::string_view expect = request.field("expect");
  if (!expect.empty() && !equal_ignoring_case(expect, "100-continue")) {
    return HttpRefusal{417, "Expect must be 100-continue"};
  }
  const Route& route = *match_.route;
  if (request.has_body && !route.request_schema.empty() &&
      !takes_type(route, request.media_type())) {
    std::string types(kJsonType);
    if (!route.binary_type.empty()) types.append(" or ").append(route.binary_type);
    return HttpRefusal{415, "Content-Type must be " + types};
  }
  if (has_large_json(parser_.bytes_missing())) return large_json();
  return std::nullopt;
}

/// A web page of somebody else may make a browser send requests here, and a name of theirs may lead
/// here. Neither is to be served: who has no password is trusted for being on this computer.
std::optional<HttpRefusal> HttpDoor::check_origin() const {
  const std::string_view host = parser_.request().field("host");
  const std::string_view origin = parser_.request().field("origin");
  const std::size_t scheme = origin.find("://");
  if (!origin.empty() &&
      (scheme == std::string_view::npos || !equal_ignoring_case(origin.substr(scheme + 3), host))) {
    return HttpRefusal{403, "pages of other origins are not served"};
  }
  const ServerConfig& config = services_.config;
  if (config.requirepass.empty() && config.protected_mode && !host.empty() &&
      !is_local_or_address(host_of(host))) {
    return HttpRefusal{403,
                       "without a password, protected mode serves only requests whose Host is "
                       "localhost or an address"};
  }
  return std::nullopt;
}

bool HttpDoor::is_authorized() const {
  const std::string& password = services_.config.requirepass;
  const HttpRequest& request = parser_.request();
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view authorization = request.field("authorization");
  if (equal_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) {
    return lets_in(authorization.substr(kBearer.size()), password);
  }
  return lets_in(request.field("api-key"), password);
}

void HttpDoor::refuse(HttpRefusal refusal) {
  refused_ = std::move(refusal);
  step_ = Step::kRefused;
}

/// False: it has to wait for those in flight.
bool HttpDoor::answer() {
  const bool is_refused = step_ == Step::kRefused;
  std::optional<RoutedRequest> routed;
  if (!is_refused) routed.emplace(parser_.request(), *match_.route, match_.values, services_);
  const CommandKind kind = routed ? routed->kind() : CommandKind::kNeutral;
  const bool ends = is_refused && (!has_head_ || parser_.request().has_body);
  const auto begin = [&](Deferred place) {
    HttpEnvelope envelope = this->envelope();
    envelope.keeps_alive = envelope.keeps_alive && !ends;
    HttpReply reply(std::move(place), std::move(envelope));
    routed ? execute(*routed, kind, std::move(reply)) : reply.send(error_response(*refused_));
  };
  if (!session_.start(kind, begin, !is_refused && match_.route->writes_later)) return false;
  ++services_.stats.commands;
  Client& client = session_.client();
  if (ends) client.close_after_reply = client.is_heard_out = true;
  if (has_head_ && !parser_.request().keeps_alive) client.close_after_reply = true;
  parser_.begin_next();
  refused_.reset();
  step_ = Step::kReading;
  began_ms_ = 0;
  has_head_ = false;
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

HttpEnvelope HttpDoor::envelope() {
  ++requests_;
  if (!has_head_) return {.request_id = made_id(), .keeps_alive = false};
  const HttpRequest& request = parser_.request();
  const std::string_view id = request.field("x-request-id");
  return {.request_id = is_echoed(id) ? std::string(id) : made_id(),
          .keeps_alive = request.keeps_alive,
          .is_http_1_1 = request.is_http_1_1,
          .is_head = request.method == "HEAD"};
}

/// 16 hexadecimal digits, which no other request has had.
std::string HttpDoor::made_id() const {
  static const std::uint64_t kSeed = random_seed();
  constexpr int kDigits = 16;
  std::array<char, kDigits> digits;
  const std::uint64_t number = mix(kSeed + mix(session_.id()) + requests_);
  const auto end = std::to_chars(digits.data(), digits.data() + kDigits, number, 16).ptr;
  std::string id(static_cast<std::size_t>(digits.data() + kDigits - end), '0');
  return id.append(digits.data(), end);
}

/// Whose change the journal cannot keep is answered without its id, which nobody has any more.
std::string HttpDoor::refusal(const Error& error) {
  const HttpResponse response = error_response(not_writable(error));
  return head_of(response, {}) + response.body;
}

void HttpDoor::refuse_input() {
  refuse({503, "out of memory for the rest of the request"});
}

/// Half a head may take no longer than a silent client, however slowly it comes.
std::int64_t HttpDoor::silent_until_ms() const {
  const std::int64_t patience_ms = services_.config.http_timeout * 1000;
  if (patience_ms <= 0) return 0;
  const bool is_amid_head = began_ms_ != 0 && !has_head_;
  return (is_amid_head ? began_ms_ : session_.client().active_ms) + patience_ms;
}

}  // namespace engram
