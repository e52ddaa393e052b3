// SPDX-License-Identifier: Apache-2.0
// Commands over the server as a process.
#include <array>
#include <memory>
#include <string>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/engine/persistence.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

constexpr std::string_view kShutdownError = "ERR Errors trying to SHUTDOWN. Check logs.";

void time(CommandContext& context) {
  constexpr std::int64_t kUsPerSecond = 1'000'000;
  const std::int64_t now_us = unix_time_us();
  context.reply.array(2);
  context.reply.bulk(std::to_string(now_us / kUsPerSecond));
  context.reply.bulk(std::to_string(now_us % kUsPerSecond));
}

/// Everything is written to disk on the way out, so that a snapshot is taken only on request.
void shutdown(CommandContext& context) {
  bool save = false;
  bool nosave = false;
  bool force = false;
  bool abort = false;
  for (const std::string_view word : context.argv.subspan(1)) {
    if (equal_ignoring_case(word, "SAVE")) {
      save = true;
    } else if (equal_ignoring_case(word, "NOSAVE")) {
      nosave = true;
    } else if (equal_ignoring_case(word, "ABORT")) {
      abort = true;
    } else if (equal_ignoring_case(word, "FORCE")) {
      force = true;
    } else if (!equal_ignoring_case(word, "NOW")) {
      return context.reply.error(kSyntaxError);
    }
  }
  if ((save && nosave) || (abort && context.argv.size() > 2)) {
    return context.reply.error(kSyntaxError);
  }
  if (abort) return context.reply.error("ERR No shutdown in progress.");
  FrontEnd& front_end = context.services.front_end;
  Persistence* const persistence = context.services.store.persistence();
  // What was acknowledged before a disk was full is in memory only, until space returns.
  const bool loses_nothing = save || persistence == nullptr || persistence->health();
  if (!loses_nothing && !nosave && !force) return context.reply.error(kShutdownError);
  // No reply: the closed connection is the answer, as in Redis.
  if (!save || persistence == nullptr) {
    context.client.close_after_reply = true;
    return front_end.request_shutdown();
  }
  const auto reply = std::make_shared<Deferred>(context.defer());
  const auto end = [reply, &front_end, client = context.client.id](const Status& saved) {
    if (saved) {
      front_end.close_client(client);
      return front_end.request_shutdown();
    }
    reply->reply([](ReplyWriter& writer) { writer.error(kShutdownError); });
  };
  persistence->save_in_turn(end);
}

using namespace command_flag;

constexpr std::array kAdminCommands = {
    CommandSpec{.name = "time",
                .handler = time,
                .arity = 1,
                .flags = kLoading | kStale | kFast,
                .group = "server",
                .summary = "Returns the unix time in seconds, and the microseconds beyond",
                .since = "2.6.0"},
    CommandSpec{.name = "shutdown",
                .handler = shutdown,
                .arity = -1,
                .flags = kAdmin | kNoScript | kLoading | kStale | kAllowBusy | kNoMulti,
                .group = "server",
                .summary = "Ends the server; the closed connection is the reply",
                .syntax = "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"},
};

}  // namespace

std::span<const CommandSpec> admin_commands() {
  return kAdminCommands;
}

}  // namespace engram
