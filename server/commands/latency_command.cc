// SPDX-License-Identifier: Apache-2.0
// LATENCY: how long commands take.
#include <array>
#include <bit>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/context.h"
#include "server/commands/families.h"
#include "server/commands/table.h"
#include "server/metrics/server_stats.h"

namespace engram {
namespace {

struct Timed {
  std::string_view name;
  const Histogram* durations;
};

void add_if_timed(const Services& services, std::size_t number, std::vector<Timed>& found) {
  const Histogram* const durations =
      services.stats.calls[static_cast<CommandNumber>(number)].durations.get();
  if (durations == nullptr || durations->count() == 0) return;
  found.push_back({services.commands.full_names()[number], durations});
}

/// Commands that have been timed: those named, a container's with its subcommands, or all.
std::vector<Timed> timed_commands(const CommandContext& context) {
  const CommandTable& table = context.services.commands;
  std::vector<Timed> found;
  if (context.argv.size() == 2) {
    for (std::size_t i = 0; i < table.full_names().size(); ++i) {
      add_if_timed(context.services, i, found);
    }
    return found;
  }
  for (const std::string_view name : context.argv.subspan(2)) {
    const CommandSpec* const spec = table.find_full(name);
    if (spec == nullptr) continue;
    const std::size_t first = table.number_of(name);
    for (std::size_t i = first; i <= first + spec->subcommands.size(); ++i) {
      add_if_timed(context.services, i, found);
    }
  }
  return found;
}

/// The counts up to each power of two of nanoseconds from 1024 on, where they rise. A bound is told
/// as Redis does: the last of its bucket, in microseconds.
std::vector<std::pair<std::int64_t, std::int64_t>> cumulative_counts(const Histogram& durations) {
  constexpr unsigned kFirstPower = 10;
  std::vector<std::pair<std::int64_t, std::int64_t>> counts;
  unsigned reached = 0;
  std::int64_t sum = 0;
  durations.for_each_bucket([&](std::size_t bucket, std::uint64_t count) {
    const auto width = static_cast<unsigned>(std::bit_width(Histogram::end_of(bucket) - 1));
    const unsigned power = width < kFirstPower ? kFirstPower : width;
    sum += static_cast<std::int64_t>(count);
    if (power == std::exchange(reached, power)) {
      counts.back().second = sum;
      return;
    }
    const std::int64_t last_ns = (std::int64_t{1} << power) + (std::int64_t{1} << (power - 7)) - 1;
    counts.emplace_back(last_ns / 1000, sum);
  });
  return counts;
}

void latency_histogram(CommandContext& context) {
  const std::vector<Timed> commands = timed_commands(context);
  ReplyWriter& reply = context.reply;
  reply.map(commands.size());
  for (const Timed& command : commands) {
    const auto counts = cumulative_counts(*command.durations);
    reply.bulk(command.name);
    reply.map(2);
    reply.bulk("calls");
    reply.integer(counts.empty() ? 0 : counts.back().second);
    reply.bulk("histogram_usec");
    reply.map(counts.size());
    for (const auto& [us, count] : counts) {
      reply.integer(us);
      reply.integer(count);
    }
  }
}

/// There is no latency monitor: it keeps no events.
void latency_latest(CommandContext& context) {
  context.reply.array(0);
}

void latency_reset(CommandContext& context) {
  context.reply.integer(0);
}

using namespace command_flag;
constexpr std::uint32_t kLatencyFlags = kAdmin | kNoScript | kLoading | kStale;

constexpr std::array kLatencySubcommands = {
    CommandSpec{.name = "histogram",
                .handler = latency_histogram,
                .arity = -2,
                .flags = kLatencyFlags,
                .group = "server",
                .summary = "Returns how many calls of each command took how long",
                .syntax = "[command...]",
                .complexity = "O(N) in the number of commands",
                .since = "7.0.0"},
    CommandSpec{.name = "latest",
                .handler = latency_latest,
                .arity = 2,
                .flags = kLatencyFlags,
                .group = "server",
                .summary = "Returns no events: there is no latency monitor",
                .since = "2.8.13"},
    CommandSpec{.name = "reset",
                .handler = latency_reset,
                .arity = -2,
                .flags = kLatencyFlags,
                .group = "server",
                .summary = "Returns that no events were forgotten",
                .syntax = "[event...]",
                .since = "2.8.13"},
    help_command("2.8.13"),
};

constexpr std::array kLatencyCommands = {
    CommandSpec{.name = "latency",
                .arity = -2,
                .group = "server",
                .summary = "Tells how long commands take",
                .complexity = "Depends on subcommand",
                .since = "2.8.13",
                .subcommands = kLatencySubcommands},
};

}  // namespace

std::span<const CommandSpec> latency_commands() {
  return kLatencyCommands;
}

}  // namespace engram
