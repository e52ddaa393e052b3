// SPDX-License-Identifier: Apache-2.0
// SLOWLOG and MONITOR: what clients ask, as it is seen by others.
#include <algorithm>
#include <array>

#include "server/commands/context.h"
#include "server/commands/families.h"
#include "server/commands/table.h"
#include "server/metrics/server_stats.h"
#include "server/requests/shown.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

void write_call(ReplyWriter& reply, const SlowCall& call) {
  const auto words = call.arguments.words();
  reply.array(6);
  reply.integer(static_cast<std::int64_t>(call.id));
  reply.integer(call.unix_s);
  reply.integer(static_cast<std::int64_t>(call.us));
  reply.array(words.size());
  for (const std::string_view word : words) reply.bulk(word);
  reply.bulk(call.address);
  reply.bulk(call.name);
}

void slowlog_get(CommandContext& context) {
  constexpr std::int64_t kUsualCount = 10;
  std::int64_t wanted = kUsualCount;
  if (context.argv.size() > 3) {
    return context.reply.error("ERR unknown subcommand or wrong number of arguments for '" +
                               shown_c(context.argv[1]) + "'. Try SLOWLOG HELP.");
  }
  if (context.argv.size() == 3) {
    const auto given = parse_integer(context.argv[2]);
    if (!given || *given < -1) {
      return context.reply.error("ERR count should be greater than or equal to -1");
    }
    wanted = *given;
  }
  const auto& calls = context.services.stats.slow_log.calls();
  const std::size_t count =
      wanted < 0 ? calls.size() : std::min(calls.size(), static_cast<std::size_t>(wanted));
  context.reply.array(count);
  for (std::size_t i = 0; i < count; ++i) write_call(context.reply, calls[i]);
}

void slowlog_len(CommandContext& context) {
  context.reply.integer(static_cast<std::int64_t>(context.services.stats.slow_log.calls().size()));
}

void slowlog_reset(CommandContext& context) {
  context.services.stats.slow_log.reset();
  context.reply.ok();
}

void monitor(CommandContext& context) {
  const bool is_step = context.client.queued >= 0 && !context.transaction.is_open();
  if (is_step) {
    return context.reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
  }
  context.client.monitors = true;
  context.reply.ok();
}

using namespace command_flag;

constexpr std::array kSlowlogSubcommands = {
    CommandSpec{.name = "get",
                .handler = slowlog_get,
                .arity = -2,
                .flags = kAdmin | kLoading | kStale,
                .group = "server",
                .summary = "Returns the newest slow commands: 10 of them, or so many; -1: all",
                .syntax = "[count]",
                .complexity = "O(N) in the number of commands returned",
                .since = "2.2.12"},
    CommandSpec{.name = "len",
                .handler = slowlog_len,
                .arity = 2,
                .flags = kAdmin | kLoading | kStale,
                .group = "server",
                .summary = "Returns how many slow commands are kept",
                .since = "2.2.12"},
    CommandSpec{.name = "reset",
                .handler = slowlog_reset,
                .arity = 2,
                .flags = kAdmin | kLoading | kStale,
                .group = "server",
                .summary = "Forgets the slow commands",
                .complexity = "O(N) in the number of commands kept",
                .since = "2.2.12"},
    help_command("6.2.0"),
};

constexpr std::array kWatchingCommands = {
    CommandSpec{.name = "slowlog",
                .arity = -2,
                .group = "server",
                .summary = "Tells which commands took long",
                .complexity = "Depends on subcommand",
                .since = "2.2.12",
                .subcommands = kSlowlogSubcommands},
    CommandSpec{.name = "monitor",
                .handler = monitor,
                .arity = 1,
                .flags = kAdmin | kNoScript | kLoading | kStale,
                .group = "server",
                .summary = "Shows every command that the server executes from now on",
                .complexity = "",
                .since = "1.0.0"},
};

}  // namespace

std::span<const CommandSpec> watching_commands() {
  return kWatchingCommands;
}

}  // namespace engram
