// SPDX-License-Identifier: Apache-2.0
#include "tests/server/store_server.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/durability/store_files.h"
#include "server/runtime/log.h"

namespace engram::test {
namespace {

constexpr std::array<std::string_view, 17> kKeys = {
    "worn",    "text",     "other", "lasting", "count", "gone",       "mean", "flat",   "fading",
    "flat.l2", "flat.bin", "hnsw",  "lsh",     "late",  "mean.saved", "set",  "emptied"};
constexpr std::array<std::string_view, 10> kNames = {"a", "b", "c", "d", "e",
                                                     "f", "g", "h", "i", "j"};

/// The year 2100.
constexpr std::string_view kFarMs = "4102444800000";

/// So many milliseconds are decades; what is left of them changes from question to question.
constexpr std::size_t kLongTtlDigits = 12;

/// VMADD of `names`, with vectors from `seed` on.
Command put(std::string_view index, std::string_view names, int seed) {
  std::vector<std::string> words = {"VMADD", std::string(index)};
  for (const char name : names) {
    words.emplace_back(1, name);
    words.push_back(packed_vector(seed++));
  }
  return request_of(words);
}

/// VADD and VTOUCH where strengths fade.
Command give(std::string_view index, std::string_view name, int seed, std::string_view ms) {
  return request({"VADD", index, name, packed_vector(seed), "STRENGTH", "2", "AT", ms});
}

Command touch(std::string_view index, std::string_view name, std::string_view ms) {
  return request({"VTOUCH", index, name, "GAIN", "3", "AT", ms});
}

Command make_index(std::string_view name, std::string_view metric, std::string_view primitive) {
  return request({"VNEW", name, "4", "METRIC", metric, "PRIMITIVE", primitive});
}

Command make_coded_index(std::string_view name, std::string_view primitive,
                         std::string_view quant) {
  return request({"VNEW", name, "4", "METRIC", "l2", "PRIMITIVE", primitive, "QUANT", quant});
}

}  // namespace

Result<std::unique_ptr<StoreServer>> StoreServer::start(const std::string& directory,
                                                        FileSystem& disk) {
  set_log_level("nothing");
  ServerConfig config;
  config.port = 0;
  config.workers = 2;
  config.appendonly = !directory.empty();
  config.appendfsync = "always";
  if (!directory.empty()) config.dir = directory;
  auto server = Server::make(std::move(config), disk);
  if (!server) return tl::unexpected(std::move(server.error()));
  return std::unique_ptr<StoreServer>(new StoreServer(std::move(*server)));
}

StoreServer::StoreServer(std::unique_ptr<Server> server)
    : server_(std::move(server)), thread_([this] {
        // Fails if the disk does, which is what tests are after.
        [[maybe_unused]] const Status ended = server_->run();
      }) {}

StoreServer::~StoreServer() {
  server_->request_shutdown();
  thread_.join();
}

std::string packed_vector(int seed) {
  const auto at = static_cast<float>(seed);
  const std::array<float, 4> values = {1.0F + 0.37F * at, 3.0F - 0.11F * at * at, 0.5F * at, -2.0F};
  std::string bytes(sizeof values, '\0');
  std::memcpy(bytes.data(), values.data(), sizeof values);
  return bytes;
}

std::vector<std::vector<Command>> workload() {
  const auto describe = [](std::string_view index, std::string_view name, std::string_view json) {
    return request({"VSETATTR", index, name, json});
  };
  const auto vadd = [](std::string_view index, std::string_view name, int seed) {
    return request({"VADD", index, name, packed_vector(seed)});
  };
  return {
      {request({"SET", "text", "one"})},
      {request({"SET", "lasting", "value", "PXAT", kFarMs})},
      {request({"APPEND", "lasting", " and more"}), request({"APPEND", "other", "begun"})},
      {make_index("flat", "cosine", "flat"), make_coded_index("hnsw", "hnsw", "sq4"),
       make_index("lsh", "dot", "lsh"), make_coded_index("flat.l2", "flat", "sq8"),
       make_coded_index("flat.bin", "flat", "bin")},
      {put("flat", "abcdef", 1)},
      {put("hnsw", "abcdefgh", 7), put("lsh", "abc", 20), put("flat.l2", "ab", 24),
       put("flat.bin", "ab", 26), describe("hnsw", "a", R"({"year":1980})"),
       describe("lsh", "b", "{}")},
      {vadd("flat", "g", 30), vadd("hnsw", "a", 31), request({"VDEL", "lsh", "b"}),
       request({"INCR", "count"}), request({"MSET", "text", "two", "other", "three"})},
      {request({"VNEW", "fading", "4", "METRIC", "l2", "PRIMITIVE", "hnsw", "DECAY", "exp", "1000",
                "CLOCK", "logical"}),
       give("fading", "a", 3, "5000"), give("fading", "b", 4, "4000"),
       touch("fading", "a", "9000")},
      {request(
           {"VNEW", "worn", "4", "PRIMITIVE", "flat", "DECAY", "power", "0.5", "CLOCK", "logical"}),
       give("worn", "a", 3, "5000"),
       request({"VADD", "worn", "b", packed_vector(4), "AT", "4000", "PIN", "SETATTR",
                R"({"tags":["x"]})"})},
      {make_index("mean", "l2", "mean"), put("mean", "abc", 1)},
      {make_index("mean.saved", "l2", "mean.saved"), put("mean.saved", "abcd", 5)},
      {request({"VADD", "set", "REDUCE", "2", "FP32", packed_vector(2), "a", "NOQUANT"}),
       request({"VADD", "emptied", "FP32", packed_vector(3), "a", "SETATTR", "{}"})},
      // Alone: what they find must not depend on how far others are.
      {request({"VTUNE", "mean"})},
      {request({"BGSAVE"})},
      {touch("fading", "b", "7000"), give("fading", "c", 6, "100"), touch("fading", "c", "8000"),
       request({"VADD", "fading", "a", packed_vector(8), "AT", "6000", "KEEPSTRENGTH", "HALFLIFE",
                "400"}),
       touch("worn", "b", "100"), touch("worn", "a", "100"), describe("worn", "b", ""),
       request({"VADD", "worn", "c", packed_vector(5), "AT", "1", "SETATTR", R"({"n":null})"})},
      {vadd("hnsw", "i", 32), request({"VDEL", "flat", "a"}), request({"DEL", "other", "text"})},
      {request({"SET", "gone", "soon", "PX", "1"})},
      // Alone: the set goes after its element.
      {request({"VREM", "emptied", "a"})},
      {request({"VADD", "set", "REDUCE", "2", "FP32", packed_vector(4), "b", "NOQUANT"}),
       request({"VADD", "emptied", "VALUES", "2", "1", "0", "b", "BIN"})},
      {put("lsh", "bdb", 40), request({"INCRBY", "count", "41"}), request({"VDEL", "hnsw", "b"}),
       describe("flat", "b", R"({"x":{"y":2}})"), vadd("hnsw", "a", 33)},
      {request({"VTUNE", "mean.saved", "SCALE", "2"})},
      {request({"VREM", "emptied", "b"})},
      {request({"VSAVE"})},
      {request({"VDEL", "fading", "b"}), give("fading", "b", 9, "2000"),
       touch("fading", "b", "2000"), touch("fading", "a", "1000"), give("worn", "b", 9, "7000"),
       request({"VADD", "worn", "a", packed_vector(8), "AT", "6000", "KEEPSTRENGTH"})},
      {request({"VTUNE", "mean", "SCALE", "3"})},
      // One group each, so that there is nothing in between.
      {request({"VCONSOLIDATE", "fading", "RADIUS", "2.5", "AT", "9000"})},
      {request({"VCONSOLIDATE", "hnsw", "RADIUS", "1", "LIMIT", "1"})},
      {request({"VDROP", "lsh"}), request({"SET", "lsh", "a string now"})},
      {request({"PERSIST", "lasting"})},
      {request({"VADD", "hnsw", "a", packed_vector(34), "SETATTR", ""}),
       describe("worn", "b", R"({"tags":["y"]})"), describe("flat", "b", R"({"x":0})")},
      {request({"PEXPIREAT", "flat", kFarMs}), request({"DEL", "flat.l2"}),
       make_index("flat.l2", "dot", "flat"), vadd("flat.l2", "c", 50)},
      {request({"VSAVE"})},
      {vadd("hnsw", "j", 51), put("flat", "hij", 52), request({"SET", "text", "back"})},
      {request({"BGSAVE"})},
      {request({"FLUSHALL"}), request({"SET", "text", "after all"})},
      {make_index("lsh", "l2", "lsh"), put("lsh", "ab", 60), request({"INCR", "count"})},
      {request({"SET", "text", "again", "KEEPTTL"}), request({"PEXPIREAT", "text", kFarMs})},
      {request({"SET", "late", "last"})},
  };
}

Digest digest(RespClient& client) {
  while (client.ask({"EXISTS", "gone"}) == ":1\r\n") {
  }
  std::string questions = request({"DBSIZE"}) + request({"VLIST"});
  std::size_t count = 2;
  for (const std::string_view index : {"mean", "mean.saved"}) {
    questions += request({"VRECALL", index, "VEC", packed_vector(3), "TOP", "0"});
    ++count;
  }
  for (const std::string_view key : kKeys) {
    questions += request({"TYPE", key}) + request({"GET", key}) + request({"PTTL", key}) +
                 request({"VSEARCH", key, packed_vector(3), "100", "EF", "1000"});
    count += 4;
    for (const std::string_view name : kNames) {
      questions += request({"VGET", key, name});
      ++count;
    }
    for (const std::string_view name : {"a", "b", "c"}) {
      questions +=
          request({"VSTRENGTH", key, name, "AT", "9000"}) + request({"VGETATTR", key, name});
      count += 2;
    }
  }
  client.send(questions);
  Digest replies;
  for (; count != 0; --count) {
    std::string reply = client.reply();
    if (reply.starts_with(":") && reply.size() > kLongTtlDigits) reply = ":much\r\n";
    replies.push_back(std::move(reply));
  }
  return replies;
}

bool await_info(RespClient& client, std::string_view section, std::string_view field_and_value) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPatience = std::chrono::seconds(30);
  const std::string wanted = "\r\n" + std::string(field_and_value) + "\r\n";
  for (const auto start = Clock::now(); Clock::now() - start < kPatience;) {
    const std::string info = client.ask({"INFO", section});
    if (info.find(wanted) != info.npos) return true;
    if (info.empty()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

void await_one_generation(const std::string& directory) {
  const auto files = [&] {
    std::size_t segments = 0;
    bool has_previous = false;
    const auto names = posix_file_system().list(directory);
    for (const auto& name : *names) {
      has_previous = has_previous || name == kPreviousSnapshotName;
      segments += segment_lsn(name) ? 1U : 0U;
    }
    return has_previous ? std::size_t{0} : segments;
  };
  for (int ms = 0; files() != 1 && ms < 30'000; ++ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace engram::test
