// SPDX-License-Identifier: Apache-2.0
// Commands that take snapshots. VSAVE and SAVE answer when the snapshot is in its place, BGSAVE at
// once; none of them keeps another client waiting.
#include <array>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/respond.h"
#include "server/engine/persistence.h"
#include "server/metrics/server_stats.h"
#include "server/requests/snapshot.h"

namespace engram {
namespace {

void save_to(CommandContext& context, std::string directory) {
  const auto responder = respond<void>(context, 0, [](ReplyWriter& writer) { writer.ok(); });
  const Status started = start_snapshot(context.services.store, responder, std::move(directory));
  if (!started) responder.refuse(started.error());
}

void save(CommandContext& context) {
  save_to(context, {});
}

void vsave(CommandContext& context) {
  if (context.argv.size() == 1) return save(context);
  const bool is_copy = context.argv.size() == 3 && equal_ignoring_case(context.argv[1], "TO") &&
                       !context.argv[2].empty();
  if (!is_copy) return context.reply.error(kSyntaxError);
  save_to(context, std::string(context.argv[2]));
}

void bgsave(CommandContext& context) {
  const bool schedule =
      context.argv.size() == 2 && equal_ignoring_case(context.argv[1], "SCHEDULE");
  if (context.argv.size() > 1 && !schedule) return context.reply.error(kSyntaxError);
  const Status started =
      start_snapshot(context.services.store, {.take = [](const Status&) {}, .finish = [](Lsn) {}});
  if (!started) return write_error(context.reply, started.error());
  // One that is asked for amid a transaction begins after it.
  context.reply.simple(context.services.store.gate().is_closed() ? "Background saving scheduled"
                                                                 : "Background saving started");
}

void lastsave(CommandContext& context) {
  constexpr std::int64_t kMsPerSecond = 1000;
  const Services& services = context.services;
  const std::int64_t last_ms = services.store.persistence() == nullptr
                                   ? services.stats.started_ms  // as Redis: nothing was saved since
                                   : services.store.persistence()->facts().last_save_ms;
  context.reply.integer(last_ms / kMsPerSecond);
}

using namespace command_flag;

constexpr std::array kPersistenceCommands = {
    CommandSpec{.name = "save",
                .handler = save,
                .arity = 1,
                .flags = kAdmin | kNoScript | kNoMulti,
                .group = "server",
                .summary = "Takes a snapshot and answers when it is on disk",
                .complexity = "O(N) in the size of all data"},
    CommandSpec{.name = "vsave",
                .handler = vsave,
                .arity = -1,
                .flags = kAdmin | kNoScript | kNoMulti,
                .group = "vector",
                .summary = "Takes a snapshot of all data and answers when it is on disk",
                .syntax = "[TO directory]",
                .complexity = "O(N) in the size of all data"},
    CommandSpec{.name = "bgsave",
                .handler = bgsave,
                .arity = -1,
                .flags = kAdmin | kNoScript,
                .group = "server",
                .summary = "Begins to take a snapshot and answers at once",
                .syntax = "[SCHEDULE]"},
    CommandSpec{.name = "lastsave",
                .handler = lastsave,
                .arity = 1,
                .flags = kLoading | kStale | kFast,
                .group = "server",
                .summary = "Returns the unix time in seconds of the last snapshot"},
};

}  // namespace

std::span<const CommandSpec> persistence_commands() {
  return kPersistenceCommands;
}

}  // namespace engram
