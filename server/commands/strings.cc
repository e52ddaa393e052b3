// SPDX-License-Identifier: Apache-2.0
// Commands over string values.
#include <array>
#include <limits>
#include <optional>
#include <string>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/deadline.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/string_reply.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

enum class Condition { kNone, kIfMissing, kIfPresent };

struct SetOptions {
  Condition condition = Condition::kNone;
  bool get = false;
  bool keep_ttl = false;
  TimeOption time;
};

/// The options of SET from argv[3] on; nothing if they are not well-formed.
std::optional<SetOptions> parse_set_options(Arguments argv) {
  SetOptions options;
  for (std::size_t i = 3; i < argv.size(); ++i) {
    if (equal_ignoring_case(argv[i], "NX") && options.condition != Condition::kIfPresent) {
      options.condition = Condition::kIfMissing;
    } else if (equal_ignoring_case(argv[i], "XX") && options.condition != Condition::kIfMissing) {
      options.condition = Condition::kIfPresent;
    } else if (equal_ignoring_case(argv[i], "GET")) {
      options.get = true;
    } else if (equal_ignoring_case(argv[i], "KEEPTTL") && !options.time.unit) {
      options.keep_ttl = true;
    } else if (options.keep_ttl || !options.time.take(argv, i)) {
      return std::nullopt;
    }
  }
  return options;
}

bool condition_holds(Condition condition, bool present) {
  return condition == Condition::kNone || (condition == Condition::kIfPresent) == present;
}

void set(CommandContext& context) {
  const auto options = context.argv.size() == 3 ? SetOptions() : parse_set_options(context.argv);
  if (!options) return context.reply.error(kSyntaxError);
  Keyspace& keyspace = context.services.store.keyspace();
  std::optional<std::int64_t> deadline;
  if (options->time.unit) {
    const auto parsed =
        parse_deadline(options->time.text, *options->time.unit, keyspace.now_ms(), true);
    if (!parsed) return write_deadline_error(context, parsed.error());
    deadline = *parsed;
  }
  const std::string_view key = context.argv[1];
  if (options->get || options->condition != Condition::kNone) {
    const Value* const former = options->get ? keyspace.find(key) : keyspace.peek(key);
    if (options->get && !reply_string(context.reply, former)) return;
    if (!condition_holds(options->condition, former != nullptr)) {
      if (!options->get) context.reply.null();
      return;
    }
  }
  keyspace.set(key, std::string(context.argv[2]), options->keep_ttl);
  if (deadline) keyspace.expire_at(key, *deadline);
  if (!options->get) context.reply.ok();
}

void get(CommandContext& context) {
  reply_string(context.reply, context.services.store.keyspace().find(context.argv[1]));
}

void append(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  const Value* const value = keyspace.peek(context.argv[1]);
  if (value != nullptr && !std::holds_alternative<std::string>(*value)) {
    return context.reply.error(kWrongTypeError);
  }
  const std::size_t former = value == nullptr ? 0 : std::get<std::string>(*value).size();
  if (former + context.argv[2].size() > context.services.config.proto_max_bulk_len) {
    return context.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  const std::size_t length = keyspace.append(context.argv[1], context.argv[2]);
  context.reply.integer(static_cast<std::int64_t>(length));
}

void strlen(CommandContext& context) {
  const Value* const value = context.services.store.keyspace().find(context.argv[1]);
  if (value == nullptr) return context.reply.integer(0);
  const auto* const text = std::get_if<std::string>(value);
  if (text == nullptr) return context.reply.error(kWrongTypeError);
  context.reply.integer(static_cast<std::int64_t>(text->size()));
}

void add_to_integer(CommandContext& context, std::int64_t amount) {
  Keyspace& keyspace = context.services.store.keyspace();
  const std::string_view key = context.argv[1];
  std::int64_t number = 0;
  if (const Value* const value = keyspace.peek(key); value != nullptr) {
    const auto* const text = std::get_if<std::string>(value);
    if (text == nullptr) return context.reply.error(kWrongTypeError);
    const auto parsed = parse_integer(*text);
    if (!parsed) return context.reply.error(kNotIntegerError);
    number = *parsed;
  }
  if (__builtin_add_overflow(number, amount, &number)) {
    return context.reply.error("ERR increment or decrement would overflow");
  }
  keyspace.set(key, std::to_string(number), /*keep_ttl=*/true);
  context.reply.integer(number);
}

void incr(CommandContext& context) {
  add_to_integer(context, 1);
}

void decr(CommandContext& context) {
  add_to_integer(context, -1);
}

void incrby(CommandContext& context) {
  const auto amount = parse_integer(context.argv[2]);
  if (!amount) return context.reply.error(kNotIntegerError);
  add_to_integer(context, *amount);
}

void decrby(CommandContext& context) {
  const auto amount = parse_integer(context.argv[2]);
  if (!amount) return context.reply.error(kNotIntegerError);
  if (*amount == std::numeric_limits<std::int64_t>::min()) {
    return context.reply.error("ERR decrement would overflow");
  }
  add_to_integer(context, -*amount);
}

/// The bytes of all the strings at some keys, each as often as it is named.
std::size_t total_size(Keyspace& keyspace, Arguments keys) {
  std::size_t bytes = 0;
  for (const std::string_view key : keys) {
    const Value* const value = keyspace.peek(key);
    const auto* const text = value == nullptr ? nullptr : std::get_if<std::string>(value);
    if (text != nullptr) bytes += text->size();
  }
  return bytes;
}

void mget(CommandContext& context) {
  // One large value named a thousand times would be copied as often.
  constexpr std::size_t kFraming = 16;
  const std::size_t bytes = total_size(context.services.store.keyspace(), context.argv.subspan(1));
  if (bytes > context.services.config.proto_max_bulk_len) {
    return context.reply.error("ERR the values together exceed proto-max-bulk-len; ask for fewer");
  }
  context.reply.expect(bytes + context.argv.size() * kFraming);
  context.reply.array(context.argv.size() - 1);
  for (const std::string_view key : context.argv.subspan(1)) {
    const Value* const value = context.services.store.keyspace().find(key);
    const auto* const text = value == nullptr ? nullptr : std::get_if<std::string>(value);
    text == nullptr ? context.reply.null() : context.reply.bulk(*text);
  }
}

void mset(CommandContext& context) {
  if (context.argv.size() % 2 == 0) {
    return context.reply.error("ERR wrong number of arguments for 'mset' command");
  }
  for (std::size_t i = 1; i < context.argv.size(); i += 2) {
    context.services.store.keyspace().set(context.argv[i], std::string(context.argv[i + 1]));
  }
  context.reply.ok();
}

using namespace command_flag;
constexpr std::uint32_t kChange = kWrite | kDenyOom;
constexpr std::array kStringCommands = {
    CommandSpec{.name = "set",
                .handler = set,
                .arity = -3,
                .flags = kChange | kBrief,
                .keys = kOneKey,
                .key_flags = "RW access update variable_flags",
                .group = "string",
                .summary = "Sets the string value of a key, whatever it held",
                .syntax = "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT "
                          "unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"},
    CommandSpec{.name = "get",
                .handler = get,
                .arity = 2,
                .flags = kReadonly | kFast | kBrief,
                .keys = kOneKey,
                .group = "string",
                .summary = "Returns the string value of a key",
                .syntax = "key"},
    CommandSpec{.name = "append",
                .handler = append,
                .arity = 3,
                .flags = kChange | kFast,
                .keys = kOneKey,
                .key_flags = "RW insert",
                .group = "string",
                .summary = "Appends to the string value of a key, made empty if missing",
                .syntax = "key value",
                .since = "2.0.0"},
    CommandSpec{.name = "strlen",
                .handler = strlen,
                .arity = 2,
                .flags = kReadonly | kFast,
                .keys = kOneKey,
                .key_flags = "RO",
                .group = "string",
                .summary = "Returns the length in bytes of a string value",
                .syntax = "key",
                .since = "2.2.0"},
    CommandSpec{.name = "incr",
                .handler = incr,
                .arity = 2,
                .flags = kChange | kFast | kBrief,
                .keys = kOneKey,
                .key_flags = "RW access update",
                .group = "string",
                .summary = "Adds one to the integer value of a key, 0 if missing",
                .syntax = "key"},
    CommandSpec{.name = "decr",
                .handler = decr,
                .arity = 2,
                .flags = kChange | kFast,
                .keys = kOneKey,
                .key_flags = "RW access update",
                .group = "string",
                .summary = "Subtracts one from the integer value of a key, 0 if missing",
                .syntax = "key"},
    CommandSpec{.name = "incrby",
                .handler = incrby,
                .arity = 3,
                .flags = kChange | kFast,
                .keys = kOneKey,
                .key_flags = "RW access update",
                .group = "string",
                .summary = "Adds a number to the integer value of a key, 0 if missing",
                .syntax = "key increment"},
    CommandSpec{.name = "decrby",
                .handler = decrby,
                .arity = 3,
                .flags = kChange | kFast,
                .keys = kOneKey,
                .key_flags = "RW access update",
                .group = "string",
                .summary = "Subtracts a number from the integer value of a key, 0 if missing",
                .syntax = "key decrement"},
    CommandSpec{.name = "mget",
                .handler = mget,
                .arity = -2,
                .flags = kReadonly | kFast,
                .keys = {1, -1, 1},
                .group = "string",
                .summary = "Returns the string values of several keys",
                .syntax = "key...",
                .complexity = "O(N) in the number of keys"},
    CommandSpec{.name = "mset",
                .handler = mset,
                .arity = -3,
                .flags = kChange,
                .keys = {1, -1, 2},
                .key_flags = "OW update",
                .group = "string",
                .summary = "Sets the string values of several keys at once",
                .syntax = "<key value>...",
                .complexity = "O(N) in the number of keys",
                .since = "1.0.1"},
};

}  // namespace

std::span<const CommandSpec> string_commands() {
  return kStringCommands;
}

}  // namespace engram
