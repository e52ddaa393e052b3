// SPDX-License-Identifier: Apache-2.0
#include "server/commands/table.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "server/commands/errors.h"
#include "server/commands/syntax.h"

namespace engram::table_test {
namespace {

std::string resolve_error(const std::vector<std::string_view>& argv) {
  return command_table().resolve(argv).spec != nullptr ? "" : command_table().refusal(argv);
}

TEST_CASE("commands/table: names match in any case, and arity is checked") {
  const CommandTable& table = command_table();
  CHECK(table.find("get") == table.find("GeT"));
  CHECK(table.find("nosuch") == nullptr);
  CHECK(table.find_full("CONFIG|get") == find_subcommand(*table.find("config"), "GET"));
  CHECK(resolve_error({"get", "k"}).empty());
  CHECK(resolve_error({"GET"}) == "ERR wrong number of arguments for 'get' command");
  CHECK(resolve_error({"Config", "Get"}) ==
        "ERR wrong number of arguments for 'config|get' command");
  CHECK(resolve_error({"CONFIG"}) == "ERR wrong number of arguments for 'config' command");
  CHECK(resolve_error({"CONFIG", "NOPE"}) == "ERR unknown subcommand 'NOPE'. Try CONFIG HELP.");
}

TEST_CASE("commands/table: an unknown command echoes what Redis echoes") {
  CHECK(resolve_error({"NoSuch", "a", "b"}) ==
        "ERR unknown command 'NoSuch', with args beginning with: 'a' 'b' ");
  const std::string error = resolve_error({std::string(500, 'x'), std::string(500, 'y'), "z"});
  CHECK(error == "ERR unknown command '" + std::string(128, 'x') +
                     "', with args beginning with: '" + std::string(128, 'y') + "' ");
}

TEST_CASE("commands/table: an unknown command is echoed up to its first NUL") {
  using namespace std::string_literals;
  CHECK(resolve_error({"No\0Such"s, "a\0b"s, "\0"s}) ==
        "ERR unknown command 'No', with args beginning with: 'a' '' ");
  CHECK(resolve_error({"CONFIG", "NO\0PE"s}) == "ERR unknown subcommand 'NO'. Try CONFIG HELP.");
}

TEST_CASE("commands/errors: an error repeats a bounded part of what it was given") {
  CHECK(shown("BOGUS") == "BOGUS");
  CHECK(shown("").empty());
  CHECK(shown(std::string(20'000'000, 'x')) == std::string(128, 'x'));
}

void check_declaration(const CommandSpec& spec) {
  CAPTURE(std::string(spec.name));
  CHECK((spec.handler != nullptr || !spec.subcommands.empty()));
  CHECK(spec.arity != 0);
  CHECK_FALSE(spec.summary.empty());
  CHECK_FALSE(spec.summary.ends_with('.'));
  CHECK((spec.keys.first == 0) == (spec.keys.step == 0));
  CHECK((spec.arity == 1 || spec.arity == -1 || !parse_syntax(spec.syntax).empty() ||
         !spec.subcommands.empty() || spec.arity == 2));
  for (const CommandSpec& subcommand : spec.subcommands) check_declaration(subcommand);
}

TEST_CASE("commands/table: every declaration is complete and its syntax well-formed") {
  for (const CommandSpec* const spec : command_table().commands()) check_declaration(*spec);
}

TEST_CASE("commands/syntax: the structure behind the notation") {
  const auto nodes = parse_syntax("key... [NX | XX] [EX seconds | AUTH user pass] <a b>...");
  REQUIRE(nodes.size() == 4);
  CHECK(nodes[0].type == "key");
  CHECK(nodes[0].multiple);
  CHECK_FALSE(nodes[0].optional);
  CHECK(nodes[1].type == "oneof");
  CHECK(nodes[1].optional);
  CHECK(nodes[1].children[1].token == "XX");
  CHECK(nodes[1].children[1].type == "pure-token");
  CHECK(nodes[2].children[0].name == "seconds");
  CHECK(nodes[2].children[0].token == "EX");
  CHECK(nodes[2].children[0].type == "integer");
  CHECK(nodes[2].children[1].type == "block");
  CHECK(nodes[2].children[1].token == "AUTH");
  CHECK(nodes[2].children[1].children.size() == 2);
  CHECK(nodes[3].type == "block");
  CHECK(nodes[3].multiple);
  CHECK(parse_syntax("").empty());
  CHECK(parse_syntax("[key ...]")[0].multiple);
  const auto values = parse_syntax("<vector | VALUES n value [value ...]>");
  CHECK(!values[0].multiple);
  CHECK(!values[0].children[1].multiple);
  CHECK(values[0].children[1].children[1].multiple);
  const auto pairs = parse_syntax("key vector [key vector ...]");
  REQUIRE(pairs.size() == 3);
  CHECK(pairs[2].type == "block");
  CHECK(pairs[2].multiple);
  CHECK_FALSE(pairs[2].children[1].multiple);
}

}  // namespace
}  // namespace engram::table_test
