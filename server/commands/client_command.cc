// SPDX-License-Identifier: Apache-2.0
// CLIENT: what the server knows about its connections.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/text.h"
#include "server/commands/client_names.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/table.h"
#include "server/engine/keyspace.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

/// Redis's letters for what a client is in the middle of.
std::string client_flags(const Client& client) {
  std::string flags;
  if (client.monitors) flags += 'O';
  if (client.queued >= 0) flags += 'x';
  if (client.watch_broken) flags += 'd';
  if (client.no_evict) flags += 'e';
  if (client.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

/// One line of CLIENT LIST, in Redis's order of fields.
std::string describe(const Client& client, std::int64_t now_ms) {
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub=0 psub=0 ssub=0 "
      "multi={} qbuf={} qbuf-free={} argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={} "
      "tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
      client.id, client.address, client.local_address, client.fd, client.name,
      (now_ms - client.connected_ms) / 1000, (now_ms - client.active_ms) / 1000,
      client_flags(client), client.queued, client.input_bytes,
      client.input_capacity - client.input_bytes, client.output_bytes,
      client.input_capacity + client.output_bytes,
      client.command == nullptr ? "NULL" : full_name(client.container, *client.command),
      static_cast<int>(client.resp), client.library_name, client.library_version);
}

void client_id(CommandContext& context) {
  context.reply.integer(static_cast<std::int64_t>(context.client.id));
}

void client_getname(CommandContext& context) {
  if (context.client.name.empty()) return context.reply.null();
  context.reply.bulk(context.client.name);
}

void client_setname(CommandContext& context) {
  if (!is_client_name(context.argv[2])) return context.reply.error(kClientNameError);
  context.client.name = context.argv[2];
  context.reply.ok();
}

void client_setinfo(CommandContext& context) {
  const bool is_name = equal_ignoring_case(context.argv[2], "LIB-NAME");
  if (!is_name && !equal_ignoring_case(context.argv[2], "LIB-VER")) {
    return context.reply.error("ERR Unrecognized option '" + shown_c(context.argv[2]) + "'");
  }
  if (!is_client_name(context.argv[3])) {
    return context.reply.error("ERR " + to_upper(context.argv[2]) +
                               " cannot contain spaces, newlines or special characters.");
  }
  (is_name ? context.client.library_name : context.client.library_version) = context.argv[3];
  context.reply.ok();
}

void client_info(CommandContext& context) {
  context.client.watch_broken = context.transaction.is_watch_broken();
  context.services.front_end.refresh_client(context.client.id);
  context.reply.verbatim(describe(context.client, context.services.store.keyspace().now_ms()) +
                         "\n");
}

/// Which clients CLIENT LIST shows and CLIENT KILL closes; every criterion given must hold.
struct ClientFilter {
  std::vector<ClientId> ids;  // ascending; none: all
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  bool normal = true;  // the only type of client there is
  bool skip_me = false;

  [[nodiscard]] bool matches(const Client& client, ClientId me) const {
    if (!normal || (skip_me && client.id == me)) return false;
    if (!ids.empty() && !std::binary_search(ids.begin(), ids.end(), client.id)) return false;
    return (!address || *address == client.address) &&
           (!local_address || *local_address == client.local_address);
  }
};

Result<bool> is_normal_type(std::string_view type) {
  if (equal_ignoring_case(type, "normal")) return true;
  for (const std::string_view other : {"master", "replica", "slave", "pubsub"}) {
    if (equal_ignoring_case(type, other)) return false;
  }
  return fail(ErrorCode::kInvalidArgument, "Unknown client type '" + shown_c(type) + "'");
}

Status parse_kill_option(std::string_view name, std::string_view value, ClientFilter& filter) {
  if (equal_ignoring_case(name, "ID")) {
    const auto id = parse_integer(value);
    if (!id || *id < 1) {
      return fail(ErrorCode::kInvalidArgument, "client-id should be greater than 0");
    }
    filter.ids = {static_cast<ClientId>(*id)};
  } else if (equal_ignoring_case(name, "ADDR")) {
    filter.address = value;
  } else if (equal_ignoring_case(name, "LADDR")) {
    filter.local_address = value;
  } else if (equal_ignoring_case(name, "TYPE")) {
    auto normal = is_normal_type(value);
    if (!normal) return tl::unexpected<Error>(std::move(normal.error()));
    filter.normal = *normal;
  } else if (equal_ignoring_case(name, "USER")) {
    if (value != "default") {
      return fail(ErrorCode::kInvalidArgument, "No such user '" + shown_c(value) + "'");
    }
  } else if (equal_ignoring_case(name, "SKIPME") &&
             (equal_ignoring_case(value, "yes") || equal_ignoring_case(value, "no"))) {
    filter.skip_me = equal_ignoring_case(value, "yes");
  } else {
    return fail(ErrorCode::kInvalidArgument, "syntax error");
  }
  return {};
}

std::size_t kill_matching(CommandContext& context, const ClientFilter& filter) {
  std::size_t killed = 0;
  context.services.front_end.for_each_client([&](Client& client) {
    if (!filter.matches(client, context.client.id)) return;
    ++killed;
    if (client.id == context.client.id) {
      client.close_after_reply = true;
    } else {
      context.services.front_end.close_client(client.id);
    }
  });
  return killed;
}

void client_kill(CommandContext& context) {
  ClientFilter filter;
  if (context.argv.size() == 3) {
    filter.address = context.argv[2];
    if (kill_matching(context, filter) == 0) return context.reply.error("ERR No such client");
    return context.reply.ok();
  }
  filter.skip_me = true;
  for (std::size_t i = 2; i < context.argv.size(); i += 2) {
    if (i + 1 == context.argv.size()) return context.reply.error(kSyntaxError);
    if (const Status status = parse_kill_option(context.argv[i], context.argv[i + 1], filter);
        !status) {
      return write_error(context.reply, status.error());
    }
  }
  context.reply.integer(static_cast<std::int64_t>(kill_matching(context, filter)));
}

Result<ClientFilter> parse_list_filter(Arguments words) {
  ClientFilter filter;
  if (words.empty()) return filter;
  if (equal_ignoring_case(words[0], "TYPE") && words.size() == 2) {
    auto normal = is_normal_type(words[1]);
    if (!normal) return tl::unexpected<Error>(std::move(normal.error()));
    filter.normal = *normal;
    return filter;
  }
  if (!equal_ignoring_case(words[0], "ID") || words.size() < 2) {
    return fail(ErrorCode::kInvalidArgument, "syntax error");
  }
  for (const std::string_view word : words.subspan(1)) {
    const auto id = parse_integer(word);
    if (!id || *id < 1) return fail(ErrorCode::kInvalidArgument, "Invalid client ID");
    filter.ids.push_back(static_cast<ClientId>(*id));
  }
  std::sort(filter.ids.begin(), filter.ids.end());
  return filter;
}

void client_list(CommandContext& context) {
  const auto filter = parse_list_filter(context.argv.subspan(2));
  if (!filter) return write_error(context.reply, filter.error());
  std::string lines;
  context.services.front_end.for_each_client([&](const Client& client) {
    if (!filter->matches(client, 0)) return;
    lines += describe(client, context.services.store.keyspace().now_ms());
    lines += '\n';
  });
  context.reply.verbatim(lines);
}

template <bool Client::*kSwitch>
void client_switch(CommandContext& context) {
  const bool on = equal_ignoring_case(context.argv[2], "ON");
  if (!on && !equal_ignoring_case(context.argv[2], "OFF")) {
    return context.reply.error(kSyntaxError);
  }
  context.client.*kSwitch = on;
  context.reply.ok();
}

/// Of CLIENT PAUSE with wrong words after the timeout; Redis leaves their number to the command
/// too.
void write_usage_error(CommandContext& context) {
  context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                      shown_c(context.argv[1]) + "'. Try CLIENT HELP.");
}

void client_pause(CommandContext& context) {
  if (context.argv.size() > 4) return write_usage_error(context);
  const bool has_mode = context.argv.size() == 4;
  const bool writes_only = has_mode && equal_ignoring_case(context.argv[3], "WRITE");
  if (has_mode && !writes_only && !equal_ignoring_case(context.argv[3], "ALL")) {
    return context.reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
  }
  const auto timeout_ms = parse_integer(context.argv[2]);
  if (!timeout_ms) return context.reply.error("ERR timeout is not an integer or out of range");
  if (*timeout_ms < 0) return context.reply.error("ERR timeout is negative");
  std::int64_t until_ms = 0;
  if (__builtin_add_overflow(*timeout_ms, context.services.store.keyspace().now_ms(), &until_ms)) {
    until_ms = std::numeric_limits<std::int64_t>::max();
  }
  context.services.pauses.pause(writes_only ? Pause::kWrites : Pause::kAll, until_ms);
  context.reply.ok();
}

void client_unpause(CommandContext& context) {
  context.services.pauses.end_pause();
  context.reply.ok();
}

/// No command blocks its client, so that there is nobody to wake.
void client_unblock(CommandContext& context) {
  if (context.argv.size() > 4) return write_usage_error(context);
  if (context.argv.size() == 4 && !equal_ignoring_case(context.argv[3], "TIMEOUT") &&
      !equal_ignoring_case(context.argv[3], "ERROR")) {
    return context.reply.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  if (!parse_integer(context.argv[2])) return context.reply.error(kNotIntegerError);
  context.reply.integer(0);
}

void client_getredir(CommandContext& context) {
  context.reply.integer(-1);
}

void client_trackinginfo(CommandContext& context) {
  context.reply.map(3);
  context.reply.bulk("flags");
  context.reply.set(1);
  context.reply.bulk("off");
  context.reply.bulk("redirect");
  context.reply.integer(-1);
  context.reply.bulk("prefixes");
  context.reply.array(0);
}

/// Keys are not tracked, so that there is nothing to switch off.
void client_tracking(CommandContext& context) {
  if (equal_ignoring_case(context.argv[2], "OFF") && context.argv.size() == 3) {
    return context.reply.ok();
  }
  if (!equal_ignoring_case(context.argv[2], "ON")) return context.reply.error(kSyntaxError);
  context.reply.error("ERR this server tracks no keys for client-side caching");
}

void client_reply(CommandContext& context) {
  if (equal_ignoring_case(context.argv[2], "ON")) {
    context.client.reply_mode = ReplyMode::kOn;
    return context.reply.ok();
  }
  if (equal_ignoring_case(context.argv[2], "OFF")) {
    context.client.reply_mode = ReplyMode::kOff;
  } else if (equal_ignoring_case(context.argv[2], "SKIP")) {
    if (context.client.reply_mode != ReplyMode::kOff) {
      context.client.reply_mode = ReplyMode::kSkipNext;
    }
  } else {
    context.reply.error(kSyntaxError);
  }
}

using namespace command_flag;
constexpr std::uint32_t kClientFlags = kNoScript | kLoading | kStale;

constexpr CommandSpec client_subcommand(std::string_view name, Handler handler, int arity,
                                        std::string_view summary, std::string_view syntax,
                                        std::string_view since, std::uint32_t more_flags = 0) {
  return {.name = name,
          .handler = handler,
          .arity = arity,
          .flags = kClientFlags | more_flags,
          .group = "connection",
          .summary = summary,
          .syntax = syntax,
          .since = since};
}

constexpr std::array kClientSubcommands = {
    client_subcommand("id", client_id, 2, "Returns the number of this connection", "", "5.0.0"),
    client_subcommand("getname", client_getname, 2, "Returns the name of this connection", "",
                      "2.6.9"),
    client_subcommand("setname", client_setname, 3, "Names this connection", "connection-name",
                      "2.6.9"),
    client_subcommand("setinfo", client_setinfo, 4, "Tells which library the client uses",
                      "<LIB-NAME libname | LIB-VER libver>", "7.2.0"),
    client_subcommand("info", client_info, 2, "Describes this connection", "", "6.2.0"),
    client_subcommand("list", client_list, -2, "Describes every connection, one per line",
                      "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id...]", "2.4.0",
                      kAdmin),
    client_subcommand("kill", client_kill, -3, "Closes connections",
                      "<ip:port | [ID client-id] [TYPE type] [USER username] [ADDR address] [LADDR "
                      "address] [SKIPME yes/no]>",
                      "2.4.0", kAdmin),
    client_subcommand("no-evict", client_switch<&Client::no_evict>, 3,
                      "Accepted for compatibility: clients are never evicted", "<ON | OFF>",
                      "7.0.0", kAdmin),
    client_subcommand("no-touch", client_switch<&Client::no_touch>, 3,
                      "Has reads by this connection leave the idle time of keys as it is",
                      "<ON | OFF>", "7.2.0"),
    client_subcommand("pause", client_pause, -3,
                      "Makes the commands of all clients wait, or those that write",
                      "timeout [WRITE | ALL]", "3.0.0", kAdmin),
    client_subcommand("unpause", client_unpause, 2, "Ends a pause", "", "6.2.0", kAdmin),
    client_subcommand("unblock", client_unblock, -3, "Returns 0: no command blocks its client",
                      "client-id [TIMEOUT | ERROR]", "5.0.0", kAdmin),
    client_subcommand("getredir", client_getredir, 2,
                      "Returns -1: no keys are tracked for this connection", "", "6.0.0"),
    client_subcommand("trackinginfo", client_trackinginfo, 2,
                      "Describes the tracking of keys for this connection: it is off", "", "6.2.0"),
    client_subcommand("reply", client_reply, 3, "Switches replies on or off, or skips the next one",
                      "<ON | OFF | SKIP>", "3.2.0"),
    client_subcommand("tracking", client_tracking, -3,
                      "Accepts OFF for compatibility: no keys are tracked", "<ON | OFF>", "6.0.0"),
    client_subcommand("help", reply_help, 2, "Prints this help", "", "5.0.0"),
};

constexpr std::array kClientCommands = {
    CommandSpec{.name = "client",
                .arity = -2,
                .group = "connection",
                .summary = "Reads and changes what the server knows about connections",
                .complexity = "Depends on subcommand",
                .since = "2.4.0",
                .subcommands = kClientSubcommands},
};

}  // namespace

std::span<const CommandSpec> client_commands() {
  return kClientCommands;
}

}  // namespace engram
