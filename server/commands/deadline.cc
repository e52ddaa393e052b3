// SPDX-License-Identifier: Apache-2.0
#include "server/commands/deadline.h"

#include <array>
#include <string>
#include <utility>

#include "server/commands/errors.h"
#include "server/commands/spec.h"
#include "server/resp/integer.h"

namespace engram {

namespace {

/// The unit that EX, PX, EXAT or PXAT means, or nothing.
std::optional<TimeUnit> time_option(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, TimeUnit>, 4> kUnits = {
      {{"EX", {1000, false}}, {"PX", {1, false}}, {"EXAT", {1000, true}}, {"PXAT", {1, true}}}};
  for (const auto& [name, unit] : kUnits) {
    if (equal_ignoring_case(name, word)) return unit;
  }
  return std::nullopt;
}

}  // namespace

bool TimeOption::take(Arguments argv, std::size_t& i) {
  const auto taken = time_option(argv[i]);
  if (!taken || unit.value_or(*taken) != *taken || i + 1 == argv.size()) return false;
  unit = taken;
  text = argv[++i];
  return true;
}

tl::expected<std::int64_t, DeadlineError> parse_deadline(std::string_view text, TimeUnit unit,
                                                         std::int64_t now_ms, bool positive) {
  const auto number = parse_integer(text);
  if (!number) return tl::unexpected(DeadlineError::kNotInteger);
  std::int64_t deadline = 0;
  if ((positive && *number <= 0) || __builtin_mul_overflow(*number, unit.milliseconds, &deadline) ||
      __builtin_add_overflow(deadline, unit.absolute ? 0 : now_ms, &deadline)) {
    return tl::unexpected(DeadlineError::kOutOfRange);
  }
  return deadline;
}

void write_deadline_error(CommandContext& context, DeadlineError error) {
  if (error == DeadlineError::kNotInteger) return context.reply.error(kNotIntegerError);
  context.reply.error("ERR invalid expire time in '" + std::string(context.spec.name) +
                      "' command");
}

}  // namespace engram
