// SPDX-License-Identifier: Apache-2.0
// MULTI and its kin. What they do belongs to the session: session/transaction.h.
#include <array>

#include "server/commands/context.h"
#include "server/commands/families.h"

namespace engram {
namespace {

void multi(CommandContext& context) {
  if (context.transaction.is_open()) {
    return context.reply.error("ERR MULTI calls can not be nested");
  }
  context.transaction.open();
  context.reply.ok();
}

void exec(CommandContext& context) {
  if (!context.transaction.is_open()) return context.reply.error("ERR EXEC without MULTI");
  context.transaction.execute(context);
}

void discard(CommandContext& context) {
  if (!context.transaction.is_open()) return context.reply.error("ERR DISCARD without MULTI");
  context.transaction.discard();
  context.reply.ok();
}

void watch(CommandContext& context) {
  if (context.transaction.is_open()) {
    return context.reply.error("ERR WATCH inside MULTI is not allowed");
  }
  context.transaction.watch(context.argv.subspan(1));
  context.reply.ok();
}

void unwatch(CommandContext& context) {
  context.transaction.unwatch();
  context.reply.ok();
}

using namespace command_flag;
constexpr std::uint32_t kTransactionFlags = kNoScript | kLoading | kStale;
constexpr std::string_view kTransactionGroup = "transactions";

constexpr std::array kTransactionCommands = {
    CommandSpec{.name = "multi",
                .handler = multi,
                .arity = 1,
                .flags = kTransactionFlags | kFast | kAllowBusy | kInMulti,
                .group = kTransactionGroup,
                .summary = "Begins a transaction: commands are queued until EXEC",
                .since = "1.2.0"},
    CommandSpec{.name = "exec",
                .handler = exec,
                .arity = 1,
                .flags = kTransactionFlags | kSkipSlowlog | kInMulti | kTransaction,
                .group = kTransactionGroup,
                .summary = "Carries out the queued commands and returns their replies",
                .complexity = "that of the commands",
                .since = "1.2.0"},
    CommandSpec{.name = "discard",
                .handler = discard,
                .arity = 1,
                .flags = kTransactionFlags | kFast | kAllowBusy | kInMulti,
                .group = kTransactionGroup,
                .summary = "Forgets the queued commands and the watched keys",
                .complexity = "O(N) in the number of queued commands",
                .since = "2.0.0"},
    CommandSpec{.name = "watch",
                .handler = watch,
                .arity = -2,
                .flags = kTransactionFlags | kFast | kAllowBusy | kInMulti | kOrderedAsRead,
                .keys = {1, -1, 1},
                .key_flags = "RO",
                .group = kTransactionGroup,
                .summary = "Has EXEC do nothing if one of the keys changes before it",
                .syntax = "key...",
                .complexity = "O(1) for every key",
                .since = "2.2.0"},
    CommandSpec{.name = "unwatch",
                .handler = unwatch,
                .arity = 1,
                .flags = kTransactionFlags | kFast | kAllowBusy,
                .group = kTransactionGroup,
                .summary = "Forgets the watched keys",
                .complexity = "O(1)",
                .since = "2.2.0"},
};

}  // namespace

std::span<const CommandSpec> transaction_commands() {
  return kTransactionCommands;
}

}  // namespace engram
