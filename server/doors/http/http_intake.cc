// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/http_intake.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <utility>

#include "core/hash.h"
#include "core/text.h"
#include "server/config/password.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

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

bool HttpIntake::read(ByteBuffer& input, std::int64_t now_ms) {
  while (step_ == Step::kReading) {
    const auto [outcome, consumed] = parse(input);
    input.consume(consumed);
    if (began_ms_ == 0 && parser_.is_amid()) began_ms_ = now_ms;
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
HttpParser::Progress HttpIntake::parse(ByteBuffer& input) {
  try {
    return parser_.parse(input.view(), config_.http_max_body);
  } catch (const std::bad_alloc&) {
    refuse_for_memory();
    return {HttpParser::Outcome::kIncomplete, 0};
  }
}

/// Whether the request whose head is there has so many bytes of JSON, and that is too many.
bool HttpIntake::has_large_json(std::size_t bytes) const {
  return bytes > kMostJsonBytes && !is_binary(*match_.route, parser_.request());
}

void HttpIntake::look_at_head() {
  const HttpRequest& request = parser_.request();
  has_head_ = true;
  if (auto refused = check_head()) return refuse(std::move(*refused));
  if (!request.has_body || !request.is_http_1_1 || request.field("expect").empty()) return;
  awaits_body_();
}

std::optional<HttpRefusal> HttpIntake::check_head() {
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
std::optional<HttpRefusal> HttpIntake::check_origin() const {
  const std::string_view host = parser_.request().field("host");
  const std::string_view origin = parser_.request().field("origin");
  const std::size_t scheme = origin.find("://");
  if (!origin.empty() &&
      (scheme == std::string_view::npos || !equal_ignoring_case(origin.substr(scheme + 3), host))) {
    return HttpRefusal{403, "pages of other origins are not served"};
  }
  if (config_.requirepass.empty() && config_.protected_mode && !host.empty() &&
      !is_local_or_address(host_of(host))) {
    return HttpRefusal{403,
                       "without a password, protected mode serves only requests whose Host is "
                       "localhost or an address"};
  }
  return std::nullopt;
}

bool HttpIntake::is_authorized() const {
  const std::string& password = config_.requirepass;
  const HttpRequest& request = parser_.request();
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view authorization = request.field("authorization");
  if (equal_ignoring_case(authorization.substr(0, kBearer.size()), kBearer)) {
    return lets_in(authorization.substr(kBearer.size()), password);
  }
  return lets_in(request.field("api-key"), password);
}

void HttpIntake::refuse(HttpRefusal refusal) {
  refused_ = std::move(refusal);
  step_ = Step::kRefused;
}

void HttpIntake::refuse_for_memory() {
  refuse({503, "out of memory for the rest of the request"});
}

HttpEnvelope HttpIntake::envelope(std::uint64_t client) {
  ++requests_;
  if (!has_head_) return {.request_id = made_id(client), .keeps_alive = false};
  const HttpRequest& request = parser_.request();
  const std::string_view id = request.field("x-request-id");
  return {.request_id = is_echoed(id) ? std::string(id) : made_id(client),
          .keeps_alive = request.keeps_alive && !is_cut_off(),
          .is_http_1_1 = request.is_http_1_1,
          .is_head = request.method == "HEAD"};
}

/// 16 hexadecimal digits, which no other request has had.
std::string HttpIntake::made_id(std::uint64_t client) const {
  static const std::uint64_t kSeed = random_seed();
  constexpr int kDigits = 16;
  std::array<char, kDigits> digits;
  const std::uint64_t number = mix(kSeed + mix(client) + requests_);
  const auto end = std::to_chars(digits.data(), digits.data() + kDigits, number, 16).ptr;
  std::string id(static_cast<std::size_t>(digits.data() + kDigits - end), '0');
  return id.append(digits.data(), end);
}

void HttpIntake::begin_next() {
  parser_.begin_next();
  refused_.reset();
  step_ = Step::kReading;
  began_ms_ = 0;
  has_head_ = false;
}

}  // namespace engram
