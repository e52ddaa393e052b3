// SPDX-License-Identifier: Apache-2.0
// Commands over the time after which a key is gone.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/deadline.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/engine/keyspace.h"

namespace engram {
namespace {

struct ExpireConditions {
  bool if_none = false;     // NX
  bool if_some = false;     // XX
  bool if_greater = false;  // GT
  bool if_less = false;     // LT
};

Result<ExpireConditions> parse_conditions(Arguments words) {
  ExpireConditions conditions;
  const std::array<std::pair<std::string_view, bool*>, 4> names = {{{"NX", &conditions.if_none},
                                                                    {"XX", &conditions.if_some},
                                                                    {"GT", &conditions.if_greater},
                                                                    {"LT", &conditions.if_less}}};
  for (const std::string_view word : words) {
    bool known = false;
    for (const auto& [name, chosen] : names) {
      if (!equal_ignoring_case(name, word)) continue;
      *chosen = known = true;
    }
    if (!known) return fail(ErrorCode::kInvalidArgument, "Unsupported option " + shown_c(word));
  }
  if (conditions.if_none && (conditions.if_some || conditions.if_greater || conditions.if_less)) {
    return fail(ErrorCode::kInvalidArgument,
                "NX and XX, GT or LT options at the same time are not compatible");
  }
  if (conditions.if_greater && conditions.if_less) {
    return fail(ErrorCode::kInvalidArgument,
                "GT and LT options at the same time are not compatible");
  }
  return conditions;
}

/// A key that never expires counts as one that expires after every other.
bool conditions_hold(const ExpireConditions& conditions, std::optional<std::int64_t> former,
                     std::int64_t deadline) {
  if (conditions.if_none && former) return false;
  if (conditions.if_some && !former) return false;
  if (conditions.if_greater && (!former || deadline <= *former)) return false;
  return !conditions.if_less || !former || deadline < *former;
}

template <std::int64_t kUnitMs, bool kAbsolute>
void expire(CommandContext& context) {
  const auto conditions = parse_conditions(context.argv.subspan(3));
  if (!conditions) return context.reply.error("ERR " + conditions.error().message);
  Keyspace& keyspace = context.services.store.keyspace();
  const auto deadline =
      parse_deadline(context.argv[2], {kUnitMs, kAbsolute}, keyspace.now_ms(), false);
  if (!deadline) return write_deadline_error(context, deadline.error());
  const std::string_view key = context.argv[1];
  const bool changed = keyspace.contains(key) &&
                       conditions_hold(*conditions, keyspace.expires_at(key), *deadline) &&
                       keyspace.expire_at(key, *deadline);
  context.reply.integer(changed ? 1 : 0);
}

constexpr std::int64_t kLastMs = std::numeric_limits<std::int64_t>::max();

template <std::int64_t kUnitMs, bool kAbsolute>
void ttl(CommandContext& context) {
  Keyspace& keyspace = context.services.store.keyspace();
  if (keyspace.look(context.argv[1]) == nullptr) return context.reply.integer(-2);
  const auto deadline = keyspace.expires_at(context.argv[1]);
  if (!deadline) return context.reply.integer(-1);
  const std::int64_t time_ms = kAbsolute ? *deadline : *deadline - keyspace.now_ms();
  // The last half second before the end of time has nothing to be rounded up to.
  const std::int64_t rounding = std::min(kUnitMs / 2, kLastMs - time_ms);
  context.reply.integer((time_ms + rounding) / kUnitMs);
}

void persist(CommandContext& context) {
  context.reply.integer(context.services.store.keyspace().persist(context.argv[1]) ? 1 : 0);
}

using namespace command_flag;
constexpr CommandSpec expire_spec(std::string_view name, Handler handler, std::string_view summary,
                                  std::string_view syntax, std::string_view since) {
  return {.name = name,
          .handler = handler,
          .arity = -3,
          .flags = kWrite | kFast,
          .keys = kOneKey,
          .summary = summary,
          .syntax = syntax,
          .since = since};
}

constexpr CommandSpec time_spec(std::string_view name, Handler handler, std::string_view summary,
                                std::string_view since) {
  return {.name = name,
          .handler = handler,
          .arity = 2,
          .flags = kReadonly | kFast,
          .keys = kOneKey,
          .summary = summary,
          .syntax = "key",
          .since = since};
}

constexpr std::array kExpiryCommands = {
    expire_spec("expire", expire<1000, false>, "Sets a key's time to live in seconds",
                "key seconds [NX | XX | GT | LT]", "1.0.0"),
    expire_spec("pexpire", expire<1, false>, "Sets a key's time to live in milliseconds",
                "key milliseconds [NX | XX | GT | LT]", "2.6.0"),
    expire_spec("expireat", expire<1000, true>, "Sets the unix time at which a key expires",
                "key unix-time-seconds [NX | XX | GT | LT]", "1.2.0"),
    expire_spec("pexpireat", expire<1, true>,
                "Sets the unix time in milliseconds at which a key expires",
                "key unix-time-milliseconds [NX | XX | GT | LT]", "2.6.0"),
    time_spec("ttl", ttl<1000, false>,
              "Returns a key's time to live in seconds: -1 if it never expires, -2 if there is no "
              "such key",
              "1.0.0"),
    time_spec(
        "pttl", ttl<1, false>,
        "Returns a key's time to live in milliseconds: -1 if it never expires, -2 if there is "
        "no such key",
        "2.6.0"),
    time_spec(
        "expiretime", ttl<1000, true>,
        "Returns the unix time at which a key expires: -1 if it never does, -2 if there is no "
        "such key",
        "7.0.0"),
    time_spec("pexpiretime", ttl<1, true>,
              "Returns the unix time in milliseconds at which a key expires: -1 if it never does, "
              "-2 if there is no such key",
              "7.0.0"),
    CommandSpec{.name = "persist",
                .handler = persist,
                .arity = 2,
                .flags = kWrite | kFast,
                .keys = kOneKey,
                .summary = "Makes a key stay until it is deleted",
                .syntax = "key",
                .since = "2.2.0"},
};

}  // namespace

std::span<const CommandSpec> expiry_commands() {
  return kExpiryCommands;
}

}  // namespace engram
