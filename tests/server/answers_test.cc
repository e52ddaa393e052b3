// SPDX-License-Identifier: Apache-2.0
// Which answers a client gets, and how many, while the disk cannot keep what it is given.
#include <doctest/doctest.h>

#include <string>

#include "tests/server/store_server.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace engram::answers_test {
namespace {

using test::FaultyFileSystem;
using test::request;
using test::RespClient;
using test::StoreServer;

struct Fixture {
  test::TemporaryDirectory directory;
  FaultyFileSystem disk;
  std::unique_ptr<StoreServer> server = std::move(*StoreServer::start(directory.path(), disk));
  RespClient client = server->connect();
};

bool is_refusal(const std::string& reply) {
  return reply.starts_with("-MISCONF ");
}

TEST_CASE_FIXTURE(Fixture,
                  "server/answers: one for a command that ends at once, and not too soon") {
  disk.fail_syncs(true);
  client.send(request({"MULTI"}) + request({"SET", "key", "value"}) + request({"EXEC"}) +
              request({"PING"}));
  CHECK(client.reply() == "+OK\r\n");
  CHECK(client.reply() == "+QUEUED\r\n");
  CHECK(is_refusal(client.reply()));
  CHECK(client.reply() == "+PONG\r\n");
  CHECK(client.ask({"PING"}) == "+PONG\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server/answers: to delete what is not there waits for no disk") {
  REQUIRE(client.ask({"VNEW", "index", "4"}) == "+OK\r\n");
  REQUIRE(client.ask({"VADD", "index", "key", test::packed_vector(1)}) == ":1\r\n");
  REQUIRE(client.ask({"VDEL", "index", "key"}) == ":1\r\n");
  disk.fail_syncs(true);
  CHECK(client.ask({"VDEL", "index", "key"}) == ":0\r\n");
}

TEST_CASE_FIXTURE(Fixture, "server/answers: a stricter policy holds from the next command on") {
  REQUIRE(client.ask({"CONFIG", "SET", "appendfsync", "everysec"}) == "+OK\r\n");
  REQUIRE(client.ask({"SET", "key", "early"}) == "+OK\r\n");
  disk.fail_syncs(true);
  client.send(request({"CONFIG", "SET", "appendfsync", "always"}) +
              request({"SET", "key", "value"}));
  CHECK(client.reply() == "+OK\r\n");
  CHECK(is_refusal(client.reply()));
}

TEST_CASE_FIXTURE(Fixture, "server/answers: what is kept in memory only is not shut down unasked") {
  disk.set_space(0);
  CHECK(is_refusal(client.ask({"SET", "key", "value"})));
  CHECK(client.ask({"SHUTDOWN"}) == "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
  CHECK(client.ask({"VSAVE"}).starts_with("-ERR "));
  CHECK(client.ask({"SHUTDOWN", "SAVE"}) == "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
  CHECK(client.ask({"PING"}) == "+PONG\r\n");
  client.send(request({"SHUTDOWN", "NOSAVE"}));
  CHECK(client.reply().empty());  // closed
}

}  // namespace
}  // namespace engram::answers_test
