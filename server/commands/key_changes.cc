// SPDX-License-Identifier: Apache-2.0
// Commands that give a key another name or another copy, choose one, or touch it.
#include <algorithm>
#include <array>
#include <string_view>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/database.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/engine/keyspace.h"
#include "server/requests/keys.h"

namespace engram {
namespace {

void rename(CommandContext& context) {
  const auto renamed =
      rename_key(context.services.store, {.from = context.argv[1], .to = context.argv[2]});
  renamed ? context.reply.ok() : write_error(context.reply, renamed.error());
}

void reply_done(CommandContext& context, const Result<bool>& done) {
  if (!done) return write_error(context.reply, done.error());
  context.reply.integer(*done ? 1 : 0);
}

void renamenx(CommandContext& context) {
  reply_done(context,
             rename_key(context.services.store,
                        {.from = context.argv[1], .to = context.argv[2], .only_if_free = true}));
}

void copy(CommandContext& context) {
  CopyRequest request{.from = context.argv[1], .to = context.argv[2]};
  for (std::size_t i = 3; i < context.argv.size(); ++i) {
    if (equal_ignoring_case(context.argv[i], "REPLACE")) {
      request.replace = true;
    } else if (equal_ignoring_case(context.argv[i], "DB") && i + 1 < context.argv.size()) {
      if (!check_database(context, context.argv[++i])) return;
    } else {
      return context.reply.error(kSyntaxError);
    }
  }
  reply_done(context, copy_key(context.services.store, request));
}

void randomkey(CommandContext& context) {
  const auto key = random_key(context.services.store);
  key ? context.reply.bulk(*key) : context.reply.null();
}

void touch(CommandContext& context) {
  const Arguments keys = context.argv.subspan(1);
  Keyspace& keyspace = context.services.store.keyspace();
  context.reply.integer(std::count_if(
      keys.begin(), keys.end(), [&keyspace](std::string_view key) { return keyspace.touch(key); }));
}

using namespace command_flag;

constexpr std::array kKeyChanges = {
    CommandSpec{.name = "rename",
                .handler = rename,
                .arity = 3,
                .flags = kWrite,
                .keys = {1, 2, 1},
                .key_flags = "RW access update delete",
                .summary = "Gives a key another name; what had that name is gone",
                .syntax = "key newkey",
                .complexity = "O(N) in the length of a string, O(1) for an index"},
    CommandSpec{.name = "renamenx",
                .handler = renamenx,
                .arity = 3,
                .flags = kWrite | kFast,
                .keys = {1, 2, 1},
                .key_flags = "RW access update delete",
                .summary = "Gives a key another name if nothing has it",
                .syntax = "key newkey",
                .complexity = "O(N) in the length of a string, O(1) for an index"},
    CommandSpec{.name = "copy",
                .handler = copy,
                .arity = -3,
                .flags = kWrite | kDenyOom,
                .keys = {1, 2, 1},
                .key_flags = "RW access update",
                .summary = "Copies a string and its time to live to another key",
                .syntax = "source destination [DB destination-db] [REPLACE]",
                .complexity = "O(N) in the length of the string",
                .since = "6.2.0"},
    CommandSpec{.name = "randomkey",
                .handler = randomkey,
                .arity = 1,
                .flags = kReadonly,
                .summary = "Returns a key at random"},
    CommandSpec{.name = "touch",
                .handler = touch,
                .arity = -2,
                .flags = kReadonly | kFast,
                .keys = {1, -1, 1},
                .key_flags = "RO",
                .summary = "Counts the keys that exist, and ends their idle time",
                .syntax = "key...",
                .complexity = "O(N) in the number of keys",
                .since = "3.2.1"},
};

}  // namespace

std::span<const CommandSpec> key_change_commands() {
  return kKeyChanges;
}

}  // namespace engram
