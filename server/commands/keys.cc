// SPDX-License-Identifier: Apache-2.0
// Commands over keys, whatever they hold.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/key_walk.h"
#include "server/engine/keyspace.h"
#include "server/requests/shown.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

void reply_count(CommandContext& context, std::ptrdiff_t count) {
  context.reply.integer(count);
}

void del(CommandContext& context) {
  const Arguments keys = context.argv.subspan(1);
  Keyspace& keyspace = context.services.store.keyspace();
  reply_count(context, std::count_if(keys.begin(), keys.end(), [&keyspace](std::string_view key) {
                return keyspace.erase(key);
              }));
}

void exists(CommandContext& context) {
  const Arguments keys = context.argv.subspan(1);
  Keyspace& keyspace = context.services.store.keyspace();
  reply_count(context, std::count_if(keys.begin(), keys.end(), [&keyspace](std::string_view key) {
                return keyspace.look(key) != nullptr;
              }));
}

void type(CommandContext& context) {
  const Value* const value = context.services.store.keyspace().peek(context.argv[1]);
  context.reply.simple(value == nullptr ? "none" : type_name(*value));
}

void keys(CommandContext& context) {
  reply_keys(context, {.pattern = context.argv[1]});
}

struct ScanOptions {
  KeyQuery query = {};
  std::size_t count = 10;
};

/// The options of SCAN from argv[2] on, or the error line.
tl::expected<ScanOptions, std::string_view> parse_scan_options(Arguments argv) {
  ScanOptions options;
  for (std::size_t i = 2; i < argv.size(); i += 2) {
    if (i + 1 == argv.size()) return tl::unexpected(kSyntaxError);
    if (equal_ignoring_case(argv[i], "COUNT")) {
      const auto count = parse_integer(argv[i + 1]);
      if (!count) return tl::unexpected(kNotIntegerError);
      if (*count < 1) return tl::unexpected(kSyntaxError);
      options.count = static_cast<std::size_t>(*count);
    } else if (equal_ignoring_case(argv[i], "MATCH")) {
      options.query.pattern = argv[i + 1];
    } else if (equal_ignoring_case(argv[i], "TYPE")) {
      options.query.type = argv[i + 1];
    } else {
      return tl::unexpected(kSyntaxError);
    }
  }
  return options;
}

/// A cursor; as in Redis, empty is 0, a plus may stand before it, and a NUL ends it.
std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  text = c_string(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  return text.empty() ? 0 : parse_number<std::uint64_t>(text);
}

void scan(CommandContext& context) {
  const auto cursor = parse_cursor(context.argv[1]);
  if (!cursor) return context.reply.error("ERR invalid cursor");
  const auto options = parse_scan_options(context.argv);
  if (!options) return context.reply.error(options.error());
  reply_page(context, options->query, *cursor, options->count);
}

void dbsize(CommandContext& context) {
  context.reply.integer(static_cast<std::int64_t>(context.services.store.keyspace().size()));
}

void flush(CommandContext& context) {
  if (context.argv.size() > 2 ||
      (context.argv.size() == 2 && !equal_ignoring_case(context.argv[1], "SYNC") &&
       !equal_ignoring_case(context.argv[1], "ASYNC"))) {
    return context.reply.error(kSyntaxError);
  }
  // The memory is freed on a worker either way; no client can tell the difference.
  context.services.store.keyspace().clear();
  context.reply.ok();
}

using namespace command_flag;
constexpr KeyRange kAllKeys = {1, -1, 1};
constexpr std::string_view kPerKey = "O(N) in the number of keys";

constexpr std::array kKeyCommands = {
    CommandSpec{.name = "del",
                .handler = del,
                .arity = -2,
                .flags = kWrite,
                .keys = kAllKeys,
                .key_flags = "RM delete",
                .summary = "Deletes keys and returns how many there were",
                .syntax = "key...",
                .complexity = kPerKey},
    CommandSpec{.name = "unlink",
                .handler = del,
                .arity = -2,
                .flags = kWrite | kFast,
                .keys = kAllKeys,
                .key_flags = "RM delete",
                .summary = "Deletes keys; like DEL, which frees large values in the background too",
                .syntax = "key...",
                .complexity = kPerKey,
                .since = "4.0.0"},
    CommandSpec{.name = "exists",
                .handler = exists,
                .arity = -2,
                .flags = kReadonly | kFast,
                .keys = kAllKeys,
                .key_flags = "RO",
                .summary = "Counts the keys that exist, as often as they are named",
                .syntax = "key...",
                .complexity = kPerKey},
    CommandSpec{.name = "type",
                .handler = type,
                .arity = 2,
                .flags = kReadonly | kFast,
                .keys = kOneKey,
                .key_flags = "RO",
                .summary = "Returns what a key holds: string, vectorset or none",
                .syntax = "key"},
    CommandSpec{.name = "keys",
                .handler = keys,
                .arity = 2,
                .flags = kReadonly,
                .summary = "Returns every key that matches a pattern",
                .syntax = "pattern",
                .complexity = "O(N) in the number of keys of the server"},
    CommandSpec{.name = "scan",
                .handler = scan,
                .arity = -2,
                .flags = kReadonly,
                .summary = "Walks over the keys, about COUNT at a time",
                .syntax = "cursor [MATCH pattern] [COUNT count] [TYPE type]",
                .complexity = "O(1) per call, O(N) for a full walk",
                .since = "2.8.0"},
    CommandSpec{.name = "dbsize",
                .handler = dbsize,
                .arity = 1,
                .flags = kReadonly | kFast,
                .group = "server",
                .summary = "Returns the number of keys"},
    CommandSpec{.name = "flushall",
                .handler = flush,
                .arity = -1,
                .flags = kWrite,
                .group = "server",
                .summary = "Deletes every key",
                .syntax = "[ASYNC | SYNC]",
                .complexity = "O(N) in the number of keys, in the background"},
    CommandSpec{.name = "flushdb",
                .handler = flush,
                .arity = -1,
                .flags = kWrite,
                .group = "server",
                .summary = "Deletes every key; there is one database",
                .syntax = "[ASYNC | SYNC]",
                .complexity = "O(N) in the number of keys, in the background"},
};

}  // namespace

std::span<const CommandSpec> key_commands() {
  return kKeyCommands;
}

}  // namespace engram
