// SPDX-License-Identifier: Apache-2.0
// OBJECT and MEMORY: how a value is held.
#include <algorithm>
#include <array>
#include <string>
#include <variant>
#include <vector>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/respond.h"
#include "server/commands/table.h"
#include "server/engine/keyspace.h"
#include "server/requests/index_info.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

/// In Redis's words, which tell of its own ways to hold a string; what uses them expects no others.
std::string_view encoding(const KeyFacts& facts) {
  constexpr std::size_t kMostEmbedded = 44;
  const auto* const text = std::get_if<std::string>(&facts.value);
  if (text == nullptr || facts.form == StringForm::kChanged) return "raw";
  if (facts.form == StringForm::kGiven && parse_integer(*text)) return "int";
  return text->size() <= kMostEmbedded ? "embstr" : "raw";
}

/// The facts of the key at argv[2]; without it, a null is written.
std::optional<KeyFacts> described(CommandContext& context) {
  auto facts = context.services.store.keyspace().describe(context.argv[2]);
  if (!facts) context.reply.null();
  return facts;
}

void object_encoding(CommandContext& context) {
  if (const auto facts = described(context)) context.reply.bulk(encoding(*facts));
}

void object_refcount(CommandContext& context) {
  if (described(context)) context.reply.integer(1);
}

void object_idletime(CommandContext& context) {
  if (const auto facts = described(context)) context.reply.integer(facts->idle_seconds);
}

void object_freq(CommandContext& context) {
  if (!described(context)) return;
  context.reply.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
      "when switching between policies at runtime LRU and LFU data will take some time to adjust.");
}

/// The bytes that VINFO tells of an index, and those of its name.
void reply_index_memory(CommandContext& context, std::size_t bytes_of_key) {
  auto index = find_index(context.services.store, context.argv[2], Missing::kGone);
  if (!index) return write_error(context.reply, index.error());
  start(context.services.store, MemoryRequest{std::move(*index)},
        respond<std::size_t>(context, 0,
                             [bytes_of_key](ReplyWriter& writer, const std::size_t& bytes) {
                               writer.integer(static_cast<std::int64_t>(bytes + bytes_of_key));
                             }));
}

void memory_usage(CommandContext& context) {
  for (std::size_t i = 3; i < context.argv.size(); i += 2) {
    if (!equal_ignoring_case(context.argv[i], "SAMPLES") || i + 1 == context.argv.size()) {
      return context.reply.error(kSyntaxError);
    }
    const auto samples = parse_integer(context.argv[i + 1]);
    if (!samples) return context.reply.error(kNotIntegerError);
    if (*samples < 0) return context.reply.error(kSyntaxError);
  }
  const auto facts = described(context);
  if (!facts) return;
  if (std::holds_alternative<std::shared_ptr<Collection>>(facts->value)) {
    return reply_index_memory(context, facts->bytes);
  }
  context.reply.integer(static_cast<std::int64_t>(facts->bytes));
}

using namespace command_flag;
constexpr KeyRange kSecond = {2, 2, 1};

constexpr CommandSpec about_key(std::string_view name, Handler handler, std::string_view summary,
                                std::string_view since) {
  return {.name = name,
          .handler = handler,
          .arity = 3,
          .flags = kReadonly,
          .keys = kSecond,
          .key_flags = "RO",
          .summary = summary,
          .syntax = "key",
          .since = since};
}

constexpr std::array kObjectSubcommands = {
    about_key("encoding", object_encoding,
              "Returns how Redis would hold the value of a key: int, embstr or raw", "2.2.3"),
    about_key("idletime", object_idletime,
              "Returns the seconds since the value of a key was read or written", "2.2.3"),
    about_key("freq", object_freq, "Answers an error: how often keys are used is not counted",
              "4.0.0"),
    about_key("refcount", object_refcount, "Returns 1: no two keys share a value", "2.2.3"),
    help_command("6.2.0", "generic"),
};

constexpr std::array kMemorySubcommands = {
    CommandSpec{.name = "usage",
                .handler = memory_usage,
                .arity = -3,
                .flags = kReadonly,
                .keys = kSecond,
                .key_flags = "RO",
                .group = "server",
                .summary = "Returns the bytes that a key and its value take",
                .syntax = "key [SAMPLES count]",
                .since = "4.0.0"},
    help_command("4.0.0"),
};

constexpr std::array kObjectCommands = {
    CommandSpec{.name = "object",
                .arity = -2,
                .summary = "Tells how the value of a key is held",
                .complexity = "Depends on subcommand",
                .since = "2.2.3",
                .subcommands = kObjectSubcommands},
    CommandSpec{.name = "memory",
                .arity = -2,
                .group = "server",
                .summary = "Tells what memory keys take",
                .complexity = "Depends on subcommand",
                .since = "4.0.0",
                .subcommands = kMemorySubcommands},
};

}  // namespace

std::span<const CommandSpec> object_commands() {
  return kObjectCommands;
}

}  // namespace engram
