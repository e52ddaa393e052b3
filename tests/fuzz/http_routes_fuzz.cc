// SPDX-License-Identifier: Apache-2.0
// Whole requests through the parser, the router and the handlers onto an engine in memory, behind a
// door without a socket.
//
// The first byte chooses a collection, the second how requests arrive: see Manner. The rest is
// requests, with the byte 0x1E between two of them: lines with a method and a target, then fields,
// and behind an empty line the body, whose length is added. Every request has one response, in
// order, that a client can read, and none fails for no reason that it names.
#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/doors/http/http_door.h"
#include "server/json/json.h"

namespace {

using namespace engram;

constexpr char kBetweenRequests = 0x1E;
constexpr std::size_t kMostBody = 64UL * 1024;
constexpr std::int64_t kBeginMs = 1'700'000'000'000;
constexpr std::string_view kPassword = "secret";

/// What PUT /collections/c is sent. Each primitive has its turn, because each has options and
/// answers of its own.
constexpr std::array<std::string_view, 16> kCollections = {
    R"({"dim": 4, "metric": "l2", "primitive": "flat"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "hnsw", "options": {"M": 4}})",
    R"({"dim": 4, "metric": "l2", "primitive": "hnsw", "options": {"QUANT": "sq8"}})",
    R"({"dim": 4, "metric": "l2", "primitive": "hopfield", "options": {"BETA": 4}})",
    R"({"dim": 4, "metric": "l2", "primitive": "lsr"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "dam"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "hebb"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "palimpsest"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "sdm"})",
    R"({"dim": 4, "metric": "l2", "primitive": "drdam"})",
    R"({"dim": 4, "metric": "l2", "primitive": "flat", "options": {"DECAY": "exp 3600000"}})",
    R"({"dim": 4, "metric": "cosine", "primitive": "hnsw", "options": {"DECAY": "power 0.5", "OMEGA": 1}})",
    R"({"dim": 4, "metric": "dot", "primitive": "flat"})",
    R"({"dim": 4, "metric": "cosine", "primitive": "hopfield", "options": {"SEP": "entmax", "DECAY": "static"}})",
    R"({"dim": 4, "metric": "cosine", "primitive": "hnsw", "options": {"QUANT": "bin"}})",
    R"({"dim": 1, "metric": "l2", "primitive": "flat"})",
};

/// Its items: for the last, of one dimension, these are refused, and it stays empty.
constexpr std::string_view kItems = R"({"vectors": [
  {"id": "a", "vector": [1, 0, 0, 0], "metadata": {"color": "red", "year": 1999, "tags": ["x", "y"]}},
  {"id": "b", "vector": [0, 1, 0, 0], "metadata": {"color": "blue", "year": 2001}},
  {"id": "c", "vector": [0, 0, 1, 0]},
  {"id": "d", "vector": [0.5, 0.5, 0.5, 0.5], "metadata": {"color": null, "deep": {"n": 1.5}}},
  {"id": "e", "vector": [-1, 1, -1, 1]},
  {"id": "f", "vector": [1, 0, 0, 0.01]}]})";

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "http_routes_fuzz: not so: %s\n", what);
  std::abort();
}

/// The second byte.
struct Manner {
  explicit Manner(std::uint8_t bits)
      : is_pipelined((bits & 1) != 0),
        has_password((bits & 2) != 0),
        is_chunked((bits & 4) != 0),
        piece(static_cast<std::size_t>(bits >> 3)) {}

  bool is_pipelined;  // or one request after the other has its answer
  bool has_password;
  bool is_chunked;
  std::size_t piece;  // bytes that arrive together; 0: all
};

/// A server without sockets.
class Host : public FrontEnd, private StoreLoop {
 public:
  Host() {
    config.http_max_body = kMostBody;
    connect();
  }
  ~Host() override {
    require(store_->close().has_value(), "a store in memory closes");
    store_->abandon_waiting_operations();
    door_.reset();
  }

  /// A client that has sent nothing.
  void connect() {
    door_ = std::make_unique<HttpDoor>(sessions_, services_, [this] { has_progressed_ = true; });
    received.clear();
  }

  /// Takes turns until everything that was sent is answered, or nothing more is to be.
  void send(std::string_view bytes, std::size_t piece) {
    const auto takes_more = [&] {
      return !bytes.empty() && door_->wants_input() && door_->takes_input();
    };
    do {
      if (takes_more()) bytes.remove_prefix(add(piece == 0 ? bytes : bytes.substr(0, piece)));
      turn();
      const bool gets_on = has_progressed_ || door_->can_continue() || takes_more();
      if (!gets_on && !door_->quiet()) wait();
      if (!gets_on && door_->quiet()) break;
    } while (true);
    now_ms_ += 1000;
  }

  void for_each_client(const std::function<void(Client&)>&) override {}
  [[nodiscard]] std::size_t client_count() const override { return 1; }
  void refresh_client(ClientId) override {}
  void close_client(ClientId) override {}
  Result<int> listen(const std::vector<std::string>&, int port) override { return port; }
  void request_shutdown() override {}

  ServerConfig config;
  std::string received;

 private:
  std::size_t add(std::string_view bytes) {
    const auto room = door_->input_room();
    const std::size_t size = std::min(bytes.size(), room.size());
    std::copy_n(bytes.begin(), size, room.begin());
    door_->add_input(size);
    return size;
  }

  void turn() {
    has_progressed_ = false;
    store_->begin_turn(now_ms_);
    store_->collect();
    sessions_.release_held();
    door_->execute();
    store_->end_turn();
    sessions_.release_held();
    for (auto piece = door_->unsent(); !piece.empty(); piece = door_->unsent()) {
      received += piece;
      door_->mark_sent(piece.size());
    }
  }

  void wake() override {
    const std::lock_guard lock(mutex_);
    is_woken_ = true;
    woken_.notify_one();
  }
  void wait() override {
    const auto is_woken = [this] { return std::exchange(is_woken_, false); };
    std::unique_lock lock(mutex_);
    if (const auto longest = store_->longest_sleep()) {
      woken_.wait_for(lock, *longest, is_woken);
    } else {
      woken_.wait(lock, is_woken);
    }
  }

  std::mutex mutex_;
  std::condition_variable woken_;
  bool is_woken_ = false;  // mutex_
  bool has_progressed_ = false;
  std::int64_t now_ms_ = kBeginMs;
  std::unique_ptr<Store> store_ = std::move(*Store::open({.workers = 1}, *this));
  ServerStats stats_;
  Sessions sessions_{*store_, stats_};
  Services services_{*store_, config, stats_, *this, sessions_, sessions_, command_table()};
  std::unique_ptr<Door> door_;
};

std::string number_of(std::size_t size, int base = 10) {
  std::array<char, 20> digits;
  return {digits.data(),
          std::to_chars(digits.data(), digits.data() + digits.size(), size, base).ptr};
}

/// The bytes of a request.
std::string request(std::string_view text, bool is_chunked) {
  const std::size_t empty_line = std::min(text.find("\n\n"), text.size());
  std::string_view head = text.substr(0, empty_line);
  const std::string_view body = text.substr(std::min(empty_line + 2, text.size()));
  std::string bytes;
  for (bool is_first = true; !head.empty() || is_first; is_first = false) {
    const std::string_view line = head.substr(0, head.find('\n'));
    head.remove_prefix(std::min(line.size() + 1, head.size()));
    bytes.append(line).append(is_first ? " HTTP/1.1\r\nHost: localhost\r\n" : "\r\n");
  }
  if (body.empty()) return bytes + "\r\n";
  if (!is_chunked)
    return bytes + "Content-Length: " + number_of(body.size()) + "\r\n\r\n" + std::string(body);
  bytes += "Transfer-Encoding: chunked\r\n\r\n";
  const std::size_t half = body.size() / 2;
  for (const std::string_view chunk : {body.substr(0, half), body.substr(half)}) {
    if (!chunk.empty())
      bytes.append(number_of(chunk.size(), 16)).append("\r\n").append(chunk).append("\r\n");
  }
  return bytes + "0\r\n\r\n";
}

/// What a server is to answer.
struct Expected {
  std::vector<std::string> methods;  // of the requests; "" for what is refused before it is known
  bool is_last_cut = false;          // the last one is not whole, so it may lack a response
};

Expected expected_of(std::string_view stream) {
  Expected expected;
  HttpParser parser;
  bool has_head = false;
  while (true) {
    const auto [outcome, consumed] = parser.parse(stream, kMostBody);
    stream.remove_prefix(consumed);
    if (outcome == HttpParser::Outcome::kHead) {
      has_head = true;
      expected.methods.push_back(parser.request().method);
    } else if (outcome == HttpParser::Outcome::kRequest) {
      has_head = false;
      parser.begin_next();
    } else {
      const bool is_refused = outcome == HttpParser::Outcome::kRefused;
      if (is_refused && !has_head) expected.methods.emplace_back();
      expected.is_last_cut = !is_refused && has_head;
      return expected;
    }
  }
}

/// The value of a field of a head; empty if it has none.
std::string_view field(std::string_view head, std::string_view name) {
  const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
  if (at == std::string_view::npos) return {};
  const std::string_view value = head.substr(at + name.size() + 4);
  return value.substr(0, value.find("\r\n"));
}

/// Takes a response to `method` off `received`, and says whether it is the last one.
bool take_response(std::string_view& received, std::string_view method) {
  const std::size_t end = received.find("\r\n\r\n");
  require(received.starts_with("HTTP/1.1 ") && end != std::string_view::npos,
          "a response has a head");
  const std::string_view head = received.substr(0, end + 2);
  received.remove_prefix(end + 4);
  const std::string_view status = head.substr(9, 3);
  require(status != "500", "no request fails for no reason that it names");
  require(!field(head, "X-Request-Id").empty(), "a response has an id");
  if (status != "204" && status != "304") {
    std::size_t size = 0;
    const std::string_view length = field(head, "Content-Length");
    std::from_chars(length.data(), length.data() + length.size(), size);
    const std::string_view body = received.substr(0, method == "HEAD" ? 0 : size);
    require(method == "HEAD" || body.size() == size, "a body is as long as its head says");
    received.remove_prefix(body.size());
    if (method != "HEAD" && field(head, "Content-Type") == kJsonType) {
      JsonReader reader({.bytes = 1UL << 30, .depth = 1024});
      const auto json = reader.read(body);
      require(json.has_value(), "a body is JSON");
      require(status[0] == '2' || json->member("error").has_value(), "a refusal says why");
    }
  }
  return field(head, "Connection") == "close";
}

void check_responses(std::string_view received, const Expected& expected) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (const std::string& method : expected.methods) {
    if (received.starts_with(kContinue)) received.remove_prefix(kContinue.size());
    if (received.empty() && expected.is_last_cut && &method == &expected.methods.back()) return;
    if (take_response(received, method)) break;
  }
  require(received.empty(), "there is one response for each request");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Manner manner(data[1]);
  Host host;
  host.send(
      request("PUT /collections/c\n\n" + std::string(kCollections[data[0] % kCollections.size()]),
              false),
      0);
  require(host.received.starts_with("HTTP/1.1 201"), "the collection is made");
  host.send(request("POST /collections/c/vectors/batch\n\n" + std::string(kItems), false), 0);
  host.connect();
  if (manner.has_password) host.config.requirepass = kPassword;

  std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string stream;
  while (!rest.empty()) {
    const std::string_view text = rest.substr(0, rest.find(kBetweenRequests));
    rest.remove_prefix(std::min(text.size() + 1, rest.size()));
    const std::string bytes = request(text, manner.is_chunked);
    stream += bytes;
    if (!manner.is_pipelined) host.send(bytes, manner.piece);
  }
  if (manner.is_pipelined) host.send(stream, manner.piece);
  check_responses(host.received, expected_of(stream));
  return 0;
}
