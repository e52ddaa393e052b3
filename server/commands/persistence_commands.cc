// SPDX-License-Identifier: Apache-2.0
// Commands that take snapshots. VSAVE and SAVE answer when the snapshot is in its place, BGSAVE at
// once; none of them keeps another client waiting.
#include <array>
#include <memory>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/engine/persistence.h"
#include "server/runtime/stats.h"

namespace engram {
namespace {

constexpr std::string_view kOffError =
    "ERR this server keeps its data in memory only; start it with --dir DIR to have it on disk";

void save(CommandContext& context) {
  Persistence* const persistence = context.services.store.persistence();
  if (persistence == nullptr) return context.reply.error(kOffError);
  if (persistence->is_saving()) {
    return context.reply.error("ERR Background save already in progress");
  }
  const auto reply = std::make_shared<Deferred>(context.defer());
  const auto answer = [reply](const Status& status) {
    reply->reply(
        [&](ReplyWriter& writer) { status ? writer.ok() : write_error(writer, status.error()); });
  };
  if (const Status started = persistence->save(answer); !started) answer(started);
}

void bgsave(CommandContext& context) {
  Persistence* const persistence = context.services.store.persistence();
  const bool schedule =
      context.argv.size() == 2 && equal_ignoring_case(context.argv[1], "SCHEDULE");
  if (context.argv.size() > 1 && !schedule) return context.reply.error(kSyntaxError);
  if (persistence == nullptr) return context.reply.error(kOffError);
  const Status started = persistence->save([](const Status&) {});
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
                .handler = save,
                .arity = 1,
                .flags = kAdmin | kNoScript | kNoMulti,
                .group = "vector",
                .summary = "Takes a snapshot of all data and answers when it is on disk",
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
