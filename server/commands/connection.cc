// SPDX-License-Identifier: Apache-2.0
// Commands over the connection itself: greeting, protocol version, leaving.
#include <array>
#include <optional>
#include <string>

#include "core/text.h"
#include "server/commands/client_names.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/resp/integer.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

void ping(CommandContext& context) {
  if (context.argv.size() > 2) {
    return context.reply.error("ERR wrong number of arguments for 'ping' command");
  }
  if (context.argv.size() == 1) return context.reply.simple("PONG");
  context.reply.bulk(context.argv[1]);
}

void echo(CommandContext& context) {
  context.reply.bulk(context.argv[1]);
}

void select(CommandContext& context) {
  const auto number = parse_integer(context.argv[1]);
  if (!number) return context.reply.error(kNotIntegerError);
  if (*number != 0) return context.reply.error("ERR DB index is out of range");
  context.reply.ok();
}

void reply_greeting(CommandContext& context) {
  ReplyWriter& reply = context.reply;
  reply.map(7);
  reply.bulk("server");
  reply.bulk("engram");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(static_cast<int>(context.client.resp));
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(context.client.id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

struct HelloOptions {
  std::optional<RespVersion> version;
  std::optional<std::string_view> name;
};

tl::expected<HelloOptions, std::string> parse_hello(Arguments argv) {
  HelloOptions options;
  if (argv.size() == 1) return options;
  const auto version = parse_integer(argv[1]);
  if (!version) {
    return tl::unexpected<std::string>("ERR Protocol version is not an integer or out of range");
  }
  if (*version != 2 && *version != 3) {
    return tl::unexpected<std::string>("NOPROTO unsupported protocol version");
  }
  options.version = *version == 2 ? RespVersion::kResp2 : RespVersion::kResp3;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    if (equal_ignoring_case(argv[i], "AUTH") && i + 2 < argv.size()) {
      // There are no passwords: the default user is let in with any, as Redis does without one.
      if (argv[i + 1] != "default") {
        return tl::unexpected<std::string>(
            "WRONGPASS invalid username-password pair or user is disabled.");
      }
      i += 2;
    } else if (equal_ignoring_case(argv[i], "SETNAME") && i + 1 < argv.size()) {
      options.name = argv[++i];
      if (!is_client_name(*options.name)) return tl::unexpected(std::string(kClientNameError));
    } else {
      return tl::unexpected("ERR Syntax error in HELLO option '" + shown(argv[i]) + "'");
    }
  }
  return options;
}

void hello(CommandContext& context) {
  const auto options = parse_hello(context.argv);
  if (!options) return context.reply.error(options.error());
  if (options->name) context.client.name = *options->name;
  context.client.resp = options->version.value_or(context.client.resp);
  context.reply.set_version(context.client.resp);
  reply_greeting(context);
}

void reset(CommandContext& context) {
  context.transaction.discard();
  Client& client = context.client;
  client.resp = RespVersion::kResp2;
  client.reply_mode = ReplyMode::kOn;
  client.name.clear();
  client.no_evict = client.no_touch = false;
  context.reply.simple("RESET");
}

void quit(CommandContext& context) {
  context.client.close_after_reply = true;
  context.reply.ok();
}

using namespace command_flag;
constexpr std::uint32_t kAlways = kLoading | kStale | kFast | kNoScript;
constexpr std::string_view kConnectionGroup = "connection";

constexpr std::array kConnectionCommands = {
    CommandSpec{.name = "ping",
                .handler = ping,
                .arity = -1,
                .flags = kFast,
                .group = kConnectionGroup,
                .summary = "Returns PONG, or the message",
                .syntax = "[message]"},
    CommandSpec{.name = "echo",
                .handler = echo,
                .arity = 2,
                .flags = kLoading | kStale | kFast,
                .group = kConnectionGroup,
                .summary = "Returns the message",
                .syntax = "message"},
    CommandSpec{.name = "hello",
                .handler = hello,
                .arity = -1,
                .flags = kAlways | kNoAuth | kAllowBusy,
                .group = kConnectionGroup,
                .summary = "Chooses the protocol version and returns what the server is",
                .syntax = "[protover [AUTH username password] [SETNAME clientname]]",
                .since = "6.0.0"},
    CommandSpec{.name = "select",
                .handler = select,
                .arity = 2,
                .flags = kLoading | kStale | kFast,
                .group = kConnectionGroup,
                .summary = "Chooses the database; there is one, 0",
                .syntax = "index"},
    CommandSpec{.name = "reset",
                .handler = reset,
                .arity = 1,
                .flags = kAlways | kNoAuth | kAllowBusy | kInMulti,
                .group = kConnectionGroup,
                .summary = "Makes the connection as it was when it was new",
                .since = "6.2.0"},
    CommandSpec{.name = "quit",
                .handler = quit,
                .arity = -1,
                .flags = kAlways | kNoAuth | kAllowBusy | kInMulti,
                .group = kConnectionGroup,
                .summary = "Closes the connection after the replies that are due"},
};

}  // namespace

std::span<const CommandSpec> connection_commands() {
  return kConnectionCommands;
}

}  // namespace engram
