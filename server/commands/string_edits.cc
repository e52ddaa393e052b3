// SPDX-License-Identifier: Apache-2.0
// Commands over string values that combine setting, getting and expiring, or change a part.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/deadline.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/string_reply.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/requests/strings.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

void setnx(CommandContext& context) {
  const StringItem item{context.argv[1], context.argv[2]};
  context.reply.integer(set_if_all_missing(context.services.store, {&item, 1}) ? 1 : 0);
}

void msetnx(CommandContext& context) {
  if (context.argv.size() % 2 == 0) {
    return context.reply.error("ERR wrong number of arguments for 'msetnx' command");
  }
  std::vector<StringItem> items;
  items.reserve(context.argv.size() / 2);
  for (std::size_t i = 1; i < context.argv.size(); i += 2) {
    items.push_back({context.argv[i], context.argv[i + 1]});
  }
  context.reply.integer(set_if_all_missing(context.services.store, items) ? 1 : 0);
}

template <std::int64_t kUnitMs>
void setex(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  const auto deadline = parse_deadline(context.argv[2], {kUnitMs, false}, keyspace.now_ms(), true);
  if (!deadline) return write_deadline_error(context, deadline.error());
  keyspace.set(context.argv[1], std::string(context.argv[3]));
  keyspace.expire_at(context.argv[1], *deadline);
  context.reply.ok();
}

void getset(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  if (!reply_string(context.reply, keyspace.find(context.argv[1]))) return;
  keyspace.set(context.argv[1], std::string(context.argv[2]));
}

void getdel(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  if (reply_string(context.reply, keyspace.find(context.argv[1]))) keyspace.erase(context.argv[1]);
}

struct GetexOptions {
  TimeOption time;
  bool persist = false;
};

/// The options of GETEX from argv[2] on; nothing if they are not well-formed.
std::optional<GetexOptions> parse_getex_options(Arguments argv) {
  GetexOptions options;
  for (std::size_t i = 2; i < argv.size(); ++i) {
    if (equal_ignoring_case(argv[i], "PERSIST") && !options.time.unit) {
      options.persist = true;
    } else if (options.persist || !options.time.take(argv, i)) {
      return std::nullopt;
    }
  }
  return options;
}

void getex(CommandContext& context) {
  const auto options = parse_getex_options(context.argv);
  if (!options) return context.reply.error(kSyntaxError);
  Keyspace& keyspace = context.services.store.keyspace();
  const std::string_view key = context.argv[1];
  const Value* const value = keyspace.find(key);
  if (value == nullptr) return context.reply.null();
  std::optional<std::int64_t> deadline;
  if (options->time.unit && std::holds_alternative<std::string>(*value)) {
    const auto parsed =
        parse_deadline(options->time.text, *options->time.unit, keyspace.now_ms(), true);
    if (!parsed) return write_deadline_error(context, parsed.error());
    deadline = *parsed;
  }
  if (!reply_string(context.reply, value)) return;
  if (deadline) keyspace.expire_at(key, *deadline);
  if (options->persist) keyspace.persist(key);
}

void incrbyfloat(CommandContext& context) {
  Store& store = context.services.store;
  if (const Status status = check_string(store, context.argv[1]); !status) {
    return write_error(context.reply, status.error());
  }
  const auto amount = parse_real(context.argv[2]);
  if (!amount) return context.reply.error("ERR value is not a valid float");
  const auto sum = add_real(store, context.argv[1], *amount);
  sum ? context.reply.bulk(*sum) : write_error(context.reply, sum.error());
}

void getrange(CommandContext& context) {
  const auto first = parse_integer(context.argv[2]);
  const auto last = parse_integer(context.argv[3]);
  if (!first || !last) return context.reply.error(kNotIntegerError);
  const auto range = read_range(context.services.store, context.argv[1], *first, *last);
  range ? context.reply.bulk(*range) : write_error(context.reply, range.error());
}

void setrange(CommandContext& context) {
  const auto offset = parse_integer(context.argv[2]);
  if (!offset) return context.reply.error(kNotIntegerError);
  const auto length = write_range(context.services.store,
                                  {.key = context.argv[1],
                                   .offset = *offset,
                                   .bytes = context.argv[3],
                                   .most_bytes = context.services.config.proto_max_bulk_len});
  if (!length) return write_error(context.reply, length.error());
  context.reply.integer(static_cast<std::int64_t>(*length));
}

using namespace command_flag;
constexpr std::uint32_t kChange = kWrite | kDenyOom;
constexpr CommandSpec edit_spec(std::string_view name, Handler handler, int arity,
                                std::uint32_t flags, std::string_view key_flags,
                                std::string_view summary, std::string_view syntax,
                                std::string_view since, std::string_view complexity = "O(1)") {
  return {.name = name,
          .handler = handler,
          .arity = arity,
          .flags = flags,
          .keys = kOneKey,
          .key_flags = key_flags,
          .group = "string",
          .summary = summary,
          .syntax = syntax,
          .complexity = complexity,
          .since = since};
}

constexpr std::array kStringEdits = {
    edit_spec("setnx", setnx, 3, kChange | kFast, "OW insert",
              "Sets the string value of a key if there is no such key", "key value", "1.0.0"),
    CommandSpec{.name = "msetnx",
                .handler = msetnx,
                .arity = -3,
                .flags = kChange,
                .keys = {1, -1, 2},
                .key_flags = "OW insert",
                .group = "string",
                .summary = "Sets the string values of several keys if none of them is there",
                .syntax = "<key value>...",
                .complexity = "O(N) in the number of keys",
                .since = "1.0.1"},
    edit_spec("setex", setex<1000>, 4, kChange, "OW update",
              "Sets the string value of a key and its time to live in seconds", "key seconds value",
              "2.0.0"),
    edit_spec("psetex", setex<1>, 4, kChange, "OW update",
              "Sets the string value of a key and its time to live in milliseconds",
              "key milliseconds value", "2.6.0"),
    edit_spec("getset", getset, 3, kChange | kFast, "RW access update",
              "Sets the string value of a key and returns the former one", "key value", "1.0.0"),
    edit_spec("getdel", getdel, 2, kWrite | kFast, "RW access delete",
              "Returns the string value of a key and deletes the key", "key", "6.2.0"),
    edit_spec("getex", getex, -2, kWrite | kFast, "RW access update",
              "Returns the string value of a key and sets its time to live",
              "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT "
              "unix-time-milliseconds | PERSIST]",
              "6.2.0"),
    edit_spec("incrbyfloat", incrbyfloat, 3, kChange | kFast, "RW access update",
              "Adds a real number to the number that is the value of a key, 0 if missing",
              "key increment", "2.6.0"),
    edit_spec("getrange", getrange, 4, kReadonly, "RO access",
              "Returns a part of the string value of a key", "key start end", "2.4.0",
              "O(N) in the length of the part"),
    edit_spec("substr", getrange, 4, kReadonly, "RO access",
              "Returns a part of a string value: the old name of GETRANGE", "key start end",
              "1.0.0", "O(N) in the length of the part"),
    edit_spec("setrange", setrange, 4, kChange, "RW update",
              "Overwrites a part of the string value of a key, made longer if need be",
              "key offset value", "2.2.0", "O(N) in the length of the value"),
};

}  // namespace

std::span<const CommandSpec> string_edit_commands() {
  return kStringEdits;
}

}  // namespace engram
