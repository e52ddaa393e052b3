// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "server/config/config_file.h"
#include "server/config/parameters.h"

namespace engram::config_test {
namespace {

std::string set(ServerConfig& config, std::string_view name, std::string_view value) {
  const Status status = find_parameter(name)->set(config, value);
  return status ? "" : status.error().message;
}

TEST_CASE("config/parameters: a value that was set reads back, and bad ones change nothing") {
  ServerConfig config;
  CHECK(set(config, "PORT", "7000").empty());
  CHECK(find_parameter("port")->get(config) == "7000");
  CHECK(set(config, "port", "x") == "argument couldn't be parsed into an integer");
  CHECK(set(config, "port", "65536") == "argument must be between 0 and 65535 inclusive");
  CHECK(config.port == 7000);
  CHECK(set(config, "bind", "127.0.0.1  ::1").empty());
  CHECK(config.bind == std::vector<std::string>{"127.0.0.1", "::1"});
  CHECK(find_parameter("bind")->get(config) == "127.0.0.1 ::1");
  CHECK_FALSE(set(config, "bind", " ").empty());
  CHECK_FALSE(set(config, "loglevel", "loud").empty());
  CHECK(find_parameter("nonsense") == nullptr);
}

TEST_CASE("config/parameters: memory values take units and no overflow") {
  ServerConfig config;
  CHECK(set(config, "proto-max-bulk-len", "2mb").empty());
  CHECK(config.proto_max_bulk_len == 2UL * 1024 * 1024);
  CHECK(set(config, "proto-max-bulk-len", "3M").empty());
  CHECK(set(config, "proto-max-bulk-len", "8gb").find("and 2147483648 inclusive") !=
        std::string::npos);
  CHECK(config.proto_max_bulk_len == 3'000'000);
  for (const char* bad : {"", "mb", "-1", "1x", "99999999999999999999", "9999999999999gb", "10"}) {
    CAPTURE(bad);
    CHECK_FALSE(set(config, "proto-max-bulk-len", bad).empty());
  }
  CHECK(config.proto_max_bulk_len == 3'000'000);
}

/// A file of the test's own, gone with it.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    char name[] = "/tmp/engram-config-XXXXXX";
    ::close(::mkstemp(name));
    path = name;
    std::ofstream(path) << text;
  }
  ~ConfigFile() { std::remove(path.c_str()); }

  std::string path;
};

TEST_CASE("config/config_file: lines, comments and quotes") {
  const ConfigFile file(
      "# a comment\n\nport 7001\nbind 127.0.0.1 ::1\r\n  loglevel \"debug\"\nsave \"\"\n"
      "appendonly no");
  ServerConfig config;
  REQUIRE(load_config_file(file.path, config));
  CHECK(config.port == 7001);
  CHECK(config.bind.size() == 2);
  CHECK(config.loglevel == "debug");
}

TEST_CASE("config/config_file: errors name the line") {
  const auto error = [](const std::string& text) {
    const ConfigFile file(text);
    ServerConfig config;
    const auto status = load_config_file(file.path, config);
    return status ? std::string() : status.error().message.substr(file.path.size());
  };
  CHECK(error("port 1\nprot 2\n") == ":2: there is no parameter 'prot'");
  CHECK(error("port x\n") == ":1: 'port': argument couldn't be parsed into an integer");
  CHECK(error("port\n") == ":1: 'port' needs a value");
  CHECK(error("cluster-enabled yes\n") == ":1: 'cluster-enabled' can only be 'no'");
  CHECK(error("dir \"x\n") == ":1: unbalanced quotes");
  CHECK(error("user default on nopass\n").starts_with(":1: 'user' is not supported"));
  CHECK(error("include other.conf\n").starts_with(":1: 'include' is not supported"));
  ServerConfig config;
  CHECK_FALSE(load_config_file("/nonexistent/engram.conf", config));
  CHECK(load_config_file("/tmp", config).error().message.starts_with("/tmp is a directory"));
}

TEST_CASE("config/config_file: a comment may have an apostrophe, and lines of save add up") {
  const ConfigFile file("# it's\n  \t# \"quoted\r\nsave 900 1\nsave 300 10 60 100\n");
  ServerConfig config;
  const auto unused = load_config_file(file.path, config);
  REQUIRE(unused);
  CHECK(unused->empty());
  CHECK(find_parameter("save")->get(config) == "900 1 300 10 60 100");
  const ConfigFile none("save 900 1\nsave \"\"\n");
  REQUIRE(load_config_file(none.path, config));
  CHECK(config.save.empty());
}

TEST_CASE("config/config_file: what only Redis has is listed, once") {
  const ConfigFile file(
      "Always-Show-Logo no\ndatabases 16\ndatabases 1\nlfu-log-factor 10\nlfu-log-factor 11\n"
      "client-output-buffer-limit normal 0 0 0\nport 7001\n");
  ServerConfig config;
  const auto unused = load_config_file(file.path, config);
  REQUIRE(unused);
  CHECK(*unused == UnusedSettings{"Always-Show-Logo", "databases 16 (it is always 1)",
                                  "lfu-log-factor", "client-output-buffer-limit"});
  CHECK(config.port == 7001);
}

}  // namespace
}  // namespace engram::config_test
