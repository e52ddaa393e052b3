// SPDX-License-Identifier: Apache-2.0
#include "server/commands/command_statistics.h"

#include <array>
#include <cstdio>
#include <utility>

#include "core/text.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/metrics/server_stats.h"

namespace engram {
namespace {

constexpr double kNsPerUs = 1000;

std::string decimals(double value, int places) {
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%.*f", places, value);
  return {text.data(), static_cast<std::size_t>(size)};
}

/// Calls visit(name, statistics) for every command and subcommand, in the order of the table.
template <class Visit>
void for_each_command(const Services& services, Visit&& visit) {
  const auto names = services.commands.full_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    visit(names[i], services.stats.calls[static_cast<CommandNumber>(i)]);
  }
}

}  // namespace

std::string command_stats_lines(const Services& services) {
  std::string lines;
  for_each_command(services, [&lines](const std::string& name, const CommandStat& stat) {
    if (stat.is_empty()) return;
    const double us = static_cast<double>(stat.ns) / kNsPerUs;
    const double us_per_call = stat.calls == 0 ? 0 : us / static_cast<double>(stat.calls);
    lines.append("cmdstat_").append(name);
    lines.append(":calls=").append(std::to_string(stat.calls));
    lines.append(",usec=").append(std::to_string(stat.ns / 1000));
    lines.append(",usec_per_call=").append(decimals(us_per_call, 2));
    lines.append(",rejected_calls=").append(std::to_string(stat.rejected));
    lines.append(",failed_calls=").append(std::to_string(stat.failed)).append("\r\n");
  });
  return lines;
}

std::string error_stats_lines(const Services& services) {
  std::string lines;
  for (const auto& [word, count] : services.stats.errors.counts()) {
    lines.append("errorstat_").append(word).append(":count=");
    lines.append(std::to_string(count)).append("\r\n");
  }
  return lines;
}

std::string latency_stats_lines(const Services& services) {
  std::string lines;
  const ServerConfig& config = services.config;
  if (!config.latency_tracking) return lines;
  for_each_command(services, [&](const std::string& name, const CommandStat& stat) {
    const Histogram* const durations = stat.durations.get();
    if (durations == nullptr || durations->count() == 0) return;
    lines.append("latency_percentiles_usec_").append(name).append(":");
    bool is_first = true;
    for (const double percent : config.latency_tracking_info_percentiles) {
      if (!std::exchange(is_first, false)) lines += ',';
      lines.append("p").append(number_text(percent)).append("=");
      lines.append(decimals(durations->quantile(percent / 100) / kNsPerUs, 3));
    }
    lines.append("\r\n");
  });
  return lines;
}

}  // namespace engram
