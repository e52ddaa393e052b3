// SPDX-License-Identifier: Apache-2.0
// Commands over the connection itself: greeting, protocol version, leaving.
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "core/text.h"
#include "server/commands/client_names.h"
#include "server/commands/context.h"
#include "server/commands/database.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/config/config.h"
#include "server/config/password.h"
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
  if (check_database(context, context.argv[1])) context.reply.ok();
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

/// There is one user, who is let in with any password while there is none.
bool authenticate(CommandContext& context, std::string_view user, std::string_view given) {
  if (user != "default" || !lets_in(given, context.services.config.requirepass)) {
    context.reply.error(kWrongPassError);
    return false;
  }
  context.client.authenticated = true;
  return true;
}

void auth(CommandContext& context) {
  if (context.argv.size() > 3) return context.reply.error(kSyntaxError);
  const bool names_user = context.argv.size() == 3;
  if (!names_user && context.services.config.requirepass.empty()) {
    return context.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  const std::string_view user = names_user ? context.argv[1] : "default";
  if (authenticate(context, user, context.argv.back())) context.reply.ok();
}

struct HelloOptions {
  std::optional<RespVersion> version;
  std::optional<std::string_view> name;
};

/// Nothing, with the error written, if it is not well-formed or the password is wrong. A password
/// is taken at once, as in Redis: what is wrong further on does not undo it.
std::optional<HelloOptions> read_hello(CommandContext& context) {
  const auto refuse = [&context](std::string_view error) {
    context.reply.error(error);
    return std::nullopt;
  };
  const Arguments argv = context.argv;
  HelloOptions options;
  if (argv.size() == 1) return options;
  const auto version = parse_integer(argv[1]);
  if (!version) return refuse("ERR Protocol version is not an integer or out of range");
  if (*version != 2 && *version != 3) return refuse("NOPROTO unsupported protocol version");
  options.version = *version == 2 ? RespVersion::kResp2 : RespVersion::kResp3;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    if (equal_ignoring_case(argv[i], "AUTH") && i + 2 < argv.size()) {
      if (!authenticate(context, argv[i + 1], argv[i + 2])) return std::nullopt;
      i += 2;
    } else if (equal_ignoring_case(argv[i], "SETNAME") && i + 1 < argv.size()) {
      options.name = argv[++i];
      if (!is_client_name(*options.name)) return refuse(kClientNameError);
    } else {
      return refuse("ERR Syntax error in HELLO option '" + shown_c(argv[i]) + "'");
    }
  }
  return options;
}

void hello(CommandContext& context) {
  const auto options = read_hello(context);
  if (!options) return;
  if (!context.client.authenticated && !context.services.config.requirepass.empty()) {
    return context.reply.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "AUTH "
        "<user> <pass> option can be used to authenticate the client and select the RESP protocol "
        "version at the same time");
  }
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
  client.no_evict = client.no_touch = client.monitors = false;
  client.authenticated = context.services.config.requirepass.empty();
  context.reply.simple("RESET");
}

/// Clients of clusters ask for these, and go on without.
void without_cluster(CommandContext& context) {
  context.reply.error("ERR This instance has cluster support disabled");
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
                .flags = kFast | kBrief,
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
    CommandSpec{.name = "auth",
                .handler = auth,
                .arity = -2,
                .flags = kAlways | kNoAuth | kAllowBusy | kTellsSecrets,
                .group = kConnectionGroup,
                .summary = "Gives the password of the server",
                .syntax = "[username] password"},
    CommandSpec{.name = "hello",
                .handler = hello,
                .arity = -1,
                .flags = kAlways | kNoAuth | kAllowBusy | kTellsSecrets,
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
    CommandSpec{.name = "readonly",
                .handler = without_cluster,
                .arity = 1,
                .flags = kLoading | kStale | kFast,
                .group = "cluster",
                .summary = "Answers an error: this server is no part of a cluster",
                .since = "3.0.0"},
    CommandSpec{.name = "readwrite",
                .handler = without_cluster,
                .arity = 1,
                .flags = kLoading | kStale | kFast,
                .group = "cluster",
                .summary = "Answers an error: this server is no part of a cluster",
                .since = "3.0.0"},
    CommandSpec{.name = "cluster",
                .handler = without_cluster,
                .arity = -2,
                .flags = kLoading | kStale,
                .group = "cluster",
                .summary = "Answers an error: this server is no part of a cluster",
                .syntax = "subcommand [argument...]",
                .since = "3.0.0"},
};

}  // namespace

bool check_database(CommandContext& context, std::string_view text) {
  using Bounds = std::numeric_limits<std::int32_t>;
  const auto number = parse_integer(text);
  if (number && *number == 0) return true;
  if (!number) {
    context.reply.error(kNotIntegerError);
  } else if (*number < Bounds::min() || *number > Bounds::max()) {
    context.reply.error("ERR value is out of range, value must between -2147483648 and 2147483647");
  } else {
    context.reply.error("ERR DB index is out of range");
  }
  return false;
}

std::span<const CommandSpec> connection_commands() {
  return kConnectionCommands;
}

}  // namespace engram
