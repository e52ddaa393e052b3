// SPDX-License-Identifier: Apache-2.0
// The HTTP door without a server: the parser's glue and the routing table.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/password.h"
#include "server/doors/http/http_parser.h"
#include "server/doors/http/http_response.h"
#include "server/doors/http/json_fields.h"
#include "server/doors/http/openapi.h"
#include "server/doors/http/router.h"
#include "server/doors/http/routes/routes.h"
#include "server/doors/http/vector_batch.h"
#include "server/json/json.h"
#include "tests/support/seed.h"

namespace engram::test::http_test {
namespace {

using Outcome = HttpParser::Outcome;

constexpr std::size_t kMostBody = 1000;

/// What the parser makes of a stream that comes in pieces: whole requests, and the status of the
/// refusal that ends them, or 0.
struct Parsed {
  std::vector<HttpRequest> requests;
  int status = 0;
};

Parsed parse(std::string_view stream, std::size_t piece = 1UL << 20) {
  Parsed parsed;
  HttpParser parser;
  std::string input;
  while (true) {
    const auto [outcome, consumed] = parser.parse(input, kMostBody);
    input.erase(0, consumed);
    if (outcome == Outcome::kRequest) {
      parsed.requests.push_back(parser.request());
      parser.begin_next();
    } else if (outcome == Outcome::kRefused) {
      parsed.status = parser.refusal().status;
      return parsed;
    } else if (outcome == Outcome::kIncomplete) {
      if (stream.empty()) return parsed;
      const std::size_t size = std::min(piece, stream.size());
      input += stream.substr(0, size);
      stream.remove_prefix(size);
    }
  }
}

int status_of(const std::string& fields, const std::string& body = "") {
  return parse("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body).status;
}

TEST_CASE("doors/http: requests come out of a stream however it is cut") {
  const std::string stream =
      "\r\nPOST /vectors?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Two: b c \r\n\r\nhello"
      "POST /b HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: ignored\r\n\r\n"
      "GET /c HTTP/1.0\r\n\r\n"
      "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (std::size_t piece = 1; piece < stream.size(); ++piece) {
    const Parsed parsed = parse(stream, piece);
    CAPTURE(piece);
    REQUIRE(parsed.status == 0);
    REQUIRE(parsed.requests.size() == 4);
    CHECK(parsed.requests[0].method == "POST");
    CHECK(parsed.requests[0].target == "/vectors?x=1");
    CHECK(parsed.requests[0].body == "hello");
    CHECK(parsed.requests[0].field("x-two") == "b c");
    CHECK(parsed.requests[0].keeps_alive);
    CHECK(parsed.requests[1].body == "abcde");
    CHECK(parsed.requests[1].field("trailer").empty());
    CHECK_FALSE(parsed.requests[2].keeps_alive);
    CHECK_FALSE(parsed.requests[2].has_body);
    CHECK(parsed.requests[3].body.empty());
  }
}

TEST_CASE("doors/http: what two servers may read in two ways is refused") {
  CHECK(status_of("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") == 400);
  CHECK(status_of("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n") == 400);
  CHECK(status_of("Content-Length: 3\r\nContent-Length: 4\r\n", "abc") == 400);
  CHECK(status_of("Content-Length: 3\r\nContent-Length: 3\r\n", "abc") == 400);
  CHECK(status_of("Content-Length: -1\r\n") == 400);
  CHECK(status_of("Content-Length: 18446744073709551616\r\n") == 400);
  CHECK(status_of("Content-Length: 0x3\r\n", "abc") == 400);
  CHECK(status_of("Content-Length:\r\n") == 400);
  CHECK(status_of("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") == 400);
  CHECK(status_of("Transfer-Encoding: chunked, identity\r\n") == 400);
  CHECK(status_of("Transfer-Encoding:\r\n") == 400);
  CHECK(status_of("Transfer-Encoding: xchunked\r\n") == 400);
  CHECK(status_of("Host: b\r\n") == 400);
  CHECK(status_of("Bad Name: b\r\n") == 400);
  CHECK(status_of("Name : b\r\n") == 400);
  CHECK(parse("GET / HTTP/1.1\r\n\r\n").status == 400);
  CHECK(parse("GET / HTTP/2.0\r\nHost: a\r\n\r\n").status == 400);
  CHECK(parse("GET /\r\n\r\n").status == 400);
  CHECK(parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").status == 400);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "x\r\n") == 400);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "1\r\nabc\r\n") == 400);
}

TEST_CASE("doors/http: compressed bodies are refused, however they are announced") {
  CHECK(status_of("Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x") == 415);
  CHECK(status_of("Transfer-Encoding: gzip, chunked\r\n") == 415);
  CHECK(status_of("Transfer-Encoding: gzip\r\n") == 415);
  CHECK(status_of("Content-Encoding: identity\r\nContent-Length: 1\r\n", "x") == 0);
}

TEST_CASE("doors/http: heads, bodies and the framing of chunks are bounded") {
  const std::string much(HttpParser::kMostHeadBytes, 'a');
  CHECK(parse("GET /" + much).status == 431);
  CHECK(status_of("A: " + much + "\r\n") == 431);
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "A: b\r\n";
  CHECK(status_of(many) == 431);
  CHECK(parse("POST / HTTP/1.1\r\nHost: a\r\n" + many + "\r\n", 7).status == 431);
  CHECK(status_of("Content-Length: 1001\r\n") == 413);
  CHECK(status_of("Content-Length: 18446744073709551615\r\n") == 413);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "3e9\r\n") == 413);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n") == 400);
  std::string chunks;
  for (int i = 0; i < 1001; ++i) chunks += "1\r\nx\r\n";
  CHECK(status_of("Transfer-Encoding: chunked\r\n", chunks) == 413);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "1;" + much + much) == 400);
  CHECK(status_of("Transfer-Encoding: chunked\r\n", "0\r\n" + many + many) >= 400);
}

TEST_CASE("doors/http: noise is refused or read, and never believed to be more than it is") {
  auto rng = make_rng(11);
  const std::string seed =
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
  for (int round = 0; round < 300; ++round) {
    std::string stream = seed + seed;
    for (int i = 0; i < 3; ++i) stream[rng() % stream.size()] = static_cast<char>(rng() % 256);
    const Parsed parsed = parse(stream, 1 + rng() % stream.size());
    CHECK(parsed.requests.size() <= 2);
    for (const HttpRequest& request : parsed.requests) CHECK(request.body.size() <= kMostBody);
  }
}

TEST_CASE("doors/http: every route is found by its method and path, and by no other") {
  std::set<std::string> seen;
  for (const Route* const route : all_routes()) {
    CAPTURE(route->path);
    CHECK(seen.insert(std::string(route->method) + std::string(route->path)).second);
    CHECK_FALSE(route->summary.empty());
    std::string path(route->path);
    while (path.find('{') != std::string::npos) {
      path.replace(path.find('{'), path.find('}') - path.find('{') + 1, "a%2Fb");
    }
    const RouteMatch found = find_route(route->method, path);
    CHECK(found.route == route);
    CHECK(std::all_of(found.values.begin(), found.values.end(),
                      [](const std::string& value) { return value == "a/b"; }));
    const RouteMatch refused = find_route("BREW", path);
    CHECK(refused.route == nullptr);
    CHECK(refused.refusal.status == 405);
    CHECK(refused.refusal.allow.find(route->method) != std::string::npos);
  }
  CHECK(find_route("GET", "/nowhere").refusal.status == 404);
  CHECK(find_route("GET", "").refusal.status == 404);
  CHECK(find_route("GET", "//").refusal.status == 404);
  CHECK(find_route("HEAD", "/health").route == find_route("GET", "/health").route);
}

TEST_CASE("doors/http: targets are taken apart, and percent signs are read") {
  CHECK(split_target("/a?b=c#d").path == "/a");
  CHECK(split_target("/a?b=c#d").query == "b=c");
  CHECK(split_target("http://host:1/a/b?c").path == "/a/b");
  CHECK(split_target("http://host").path.empty());
  CHECK(split_target("*").path == "*");
  CHECK(decode_percent("a%20b%2f+") == "a b/+");
  CHECK(decode_percent("a+b", true) == "a b");
  CHECK_FALSE(decode_percent("%").has_value());
  CHECK_FALSE(decode_percent("%2").has_value());
  CHECK_FALSE(decode_percent("%zz").has_value());
}

TEST_CASE("doors/http: a cursor says the same in JSON and in a query, whatever its id is") {
  CHECK(cursor_of("a-b.c_D9") == "a-b.c_D9");
  CHECK(cursor_of("a b~\xff/") == "a~20b~7E~FF~2F");
  CHECK(read_cursor("a~20b~7e~fF") == "a b~\xff");
  for (const char* const none : {"~", "~4", "~4g", "a~"}) CHECK(!read_cursor(none));
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::string cursor = cursor_of(every);
  CHECK(read_cursor(cursor) == every);
  CHECK(decode_percent(cursor, true) == cursor);
  CHECK(cursor.find_first_of("%+&=#\"\\") == std::string::npos);
}

TEST_CASE("doors/http: a password is right as a whole, and anything is where there is none") {
  CHECK(lets_in("secret", "secret"));
  for (const char* const wrong : {"", "s", "secre", "secret!", "Secret", "secretsecret"}) {
    CHECK(!lets_in(wrong, "secret"));
  }
  CHECK(lets_in("", ""));
  CHECK(lets_in("any", ""));
}

TEST_CASE("doors/http: base64 is read in both alphabets, padded or not, and nothing else is") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("TQ==") == "M");
  CHECK(decode_base64("TWE=") == "Ma");
  CHECK(decode_base64("TWFu") == "Man");
  CHECK(decode_base64("TWE") == "Ma");
  CHECK(decode_base64("-_+/") == "\xFB\xFF\xBF");
  CHECK_FALSE(decode_base64("T").has_value());
  CHECK_FALSE(decode_base64("TW=E").has_value());
  CHECK_FALSE(decode_base64("TWFu TWFu").has_value());
}

TEST_CASE("doors/http: codes of errors become statuses, and those that pass say when to retry") {
  CHECK(error_response(Error{ErrorCode::kInvalidArgument, "no"}).status == 400);
  CHECK(error_response(Error{ErrorCode::kNotFound, "no"}).status == 404);
  CHECK(error_response(Error{ErrorCode::kAlreadyExists, "no"}).status == 409);
  CHECK(error_response(Error{ErrorCode::kResourceExhausted, "no"}).status == 429);
  const HttpResponse refused = error_response(Error{ErrorCode::kNotWritable, "a \"quoted\" no"});
  CHECK(refused.status == 503);
  CHECK(refused.body == R"({"error":"a \"quoted\" no"})");
  CHECK(head_of(refused, {}).find("\r\nRetry-After: 1\r\n") != std::string::npos);
}

/// Numbers in the order of a batch's bytes.
template <class Number>
std::string bytes_of(std::initializer_list<Number> numbers) {
  std::string bytes;
  for (const Number number : numbers) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return bytes;
}

std::string batch_head(std::uint32_t count, std::uint32_t dim, std::uint16_t flags = 0) {
  return "EGVB" + bytes_of<std::uint16_t>({1, flags}) + bytes_of<std::uint32_t>({count, dim});
}

/// Three vectors of two dimensions.
std::string whole_batch() {
  return batch_head(3, 2, 1) + bytes_of<std::uint32_t>({1, 0, 3}) +
         bytes_of<std::uint32_t>({2, 0xFFFFFFFF, 0}) + bytes_of<float>({1, 2, 3, 4, 5, 6}) +
         "abcd" + "{}";
}

TEST_CASE("doors/http: a batch in binary is taken apart as it was put together") {
  const std::string bytes = whole_batch();
  auto batch = VectorBatch::read(bytes);
  REQUIRE(batch.has_value());
  CHECK(batch->size() == 3);
  CHECK(batch->dim() == 2);
  CHECK(batch->has_metadata());
  const VectorBatch::Item first = batch->next();
  CHECK(first.id == "a");
  CHECK(first.vector == bytes_of<float>({1, 2}));
  CHECK(first.metadata == "{}");
  const VectorBatch::Item second = batch->next();
  CHECK(second.id.empty());
  CHECK_FALSE(second.metadata.has_value());
  const VectorBatch::Item third = batch->next();
  CHECK(third.id == "bcd");
  CHECK(third.vector == bytes_of<float>({5, 6}));
  CHECK(third.metadata == "");
}

TEST_CASE("doors/http: a batch in binary that lies about its size is refused") {
  const std::string whole = whole_batch();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(VectorBatch::read(std::string_view(whole).substr(0, size)).has_value());
  }
  CHECK_FALSE(VectorBatch::read(whole + "x").has_value());
  constexpr std::uint32_t kMost = 0xFFFFFFFF;
  const std::string rest(64, '\0');
  CHECK_FALSE(VectorBatch::read(batch_head(kMost, kMost) + rest).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(kMost, 1) + rest).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(1, kMost, 1) + rest).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(0, 1)).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(1, 0) + rest).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(1, 1, 2) + rest).has_value());
  CHECK_FALSE(VectorBatch::read(batch_head(2, 1) + bytes_of<std::uint32_t>({kMost, kMost}) +
                                bytes_of<float>({1, 2}) + rest)
                  .has_value());
}

TEST_CASE("doors/http: a batch in binary with damage is refused, or reads within its bytes") {
  auto rng = make_rng(12);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = whole_batch();
    for (int i = 0; i < 2; ++i) bytes[rng() % bytes.size()] = static_cast<char>(rng() % 256);
    auto batch = VectorBatch::read(bytes);
    if (!batch) continue;
    std::size_t read = 0;
    for (std::size_t i = 0; i < batch->size(); ++i) {
      const VectorBatch::Item item = batch->next();
      read += item.id.size() + item.vector.size() + item.metadata.value_or("").size();
    }
    CHECK(read <= bytes.size());
  }
}

/// Checks that each $ref below `value` leads to something in `document`.
void check_references(const JsonValue& value, const JsonValue& document) {
  value.for_each_item([&](const JsonValue& item) { check_references(item, document); });
  value.for_each_member([&](std::string_view name, const JsonValue& member) {
    if (name != "$ref" || member.kind() != JsonKind::kString) {
      return check_references(member, document);
    }
    std::string_view steps = member.string();
    CAPTURE(std::string(steps));
    REQUIRE(steps.starts_with("#/"));
    steps.remove_prefix(2);
    std::optional<JsonValue> at = document;
    while (at && !steps.empty()) {
      const std::string_view step = steps.substr(0, steps.find('/'));
      steps.remove_prefix(std::min(step.size() + 1, steps.size()));
      at = at->member(step);
    }
    CHECK(at.has_value());
  });
}

TEST_CASE("doors/http: the OpenAPI document has every route, and all that it refers to") {
  const auto routes = all_routes();
  const std::string text = openapi_document(routes);
  JsonReader reader({.bytes = 1UL << 20, .depth = 64});
  const auto document = reader.read(text);
  REQUIRE(document.has_value());
  check_references(*document, *document);
  std::set<std::string> ids;
  for (const Route* const route : routes) {
    CAPTURE(route->path);
    std::string method(route->method);
    std::transform(method.begin(), method.end(), method.begin(),
                   [](char c) { return static_cast<char>(c - 'A' + 'a'); });
    const auto path = document->member("paths")->member(route->path);
    REQUIRE(path.has_value());
    const auto operation = path->member(method);
    REQUIRE(operation.has_value());
    CHECK(ids.insert(std::string(operation->member("operationId")->string())).second);
    CHECK(operation->member("requestBody").has_value() == !route->request_schema.empty());
    std::size_t parameters = 0;
    operation->member("parameters")->for_each_item([&](const JsonValue&) { ++parameters; });
    const auto names = std::count(route->path.begin(), route->path.end(), '{');
    CHECK(parameters == static_cast<std::size_t>(names) + route->query.size());
  }
}

}  // namespace
}  // namespace engram::test::http_test
