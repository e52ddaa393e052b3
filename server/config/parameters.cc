// SPDX-License-Identifier: Apache-2.0
#include "server/config/parameters.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/text.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

constexpr std::size_t kMostBytes = std::numeric_limits<std::int64_t>::max();

/// The journal and the snapshot count the bytes of a command, and of a string, in 32 bits.
constexpr std::size_t kMostRequestBytes = std::size_t{2} << 30;

template <auto kMember>
std::string get_number(const ServerConfig& config) {
  return std::to_string(config.*kMember);
}

template <auto kMember>
std::string get_text(const ServerConfig& config) {
  return config.*kMember;
}

template <auto kMember, std::int64_t kLeast, std::int64_t kMost>
Status set_number(ServerConfig& config, std::string_view text) {
  const auto value = parse_integer(text);
  if (!value) {
    return fail(ErrorCode::kInvalidArgument, "argument couldn't be parsed into an integer");
  }
  if (*value < kLeast || *value > kMost) {
    return fail(ErrorCode::kInvalidArgument, "argument must be between " + std::to_string(kLeast) +
                                                 " and " + std::to_string(kMost) + " inclusive");
  }
  config.*kMember = static_cast<std::remove_reference_t<decltype(config.*kMember)>>(*value);
  return {};
}

std::optional<std::size_t> memory_unit(std::string_view suffix) {
  static constexpr std::array<std::pair<std::string_view, std::size_t>, 8> kUnits = {{
      {"", 1},
      {"b", 1},
      {"k", 1000},
      {"kb", 1024},
      {"m", 1000UL * 1000},
      {"mb", 1024UL * 1024},
      {"g", 1000UL * 1000 * 1000},
      {"gb", 1024UL * 1024 * 1024},
  }};
  for (const auto& [name, bytes] : kUnits) {
    if (equal_ignoring_case(name, suffix)) return bytes;
  }
  return std::nullopt;
}

/// "512mb" and the like; kb is 1024 bytes and k is 1000, as in redis.conf.
template <auto kMember, std::size_t kLeast, std::size_t kMost = kMostBytes>
Status set_memory(ServerConfig& config, std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number<std::size_t>(text.substr(0, digits));
  const auto unit = memory_unit(text.substr(digits));
  if (!number || !unit || *number > std::numeric_limits<std::int64_t>::max() / *unit) {
    return fail(ErrorCode::kInvalidArgument, "argument must be a memory value");
  }
  if (*number * *unit < kLeast || *number * *unit > kMost) {
    return fail(ErrorCode::kInvalidArgument, "argument must be between " + std::to_string(kLeast) +
                                                 " and " + std::to_string(kMost) + " inclusive");
  }
  config.*kMember = *number * *unit;
  return {};
}

constexpr int kMostSeconds = std::numeric_limits<int>::max();
constexpr std::int64_t kMostNumber = std::numeric_limits<std::int64_t>::max();

template <auto kMember>
std::string get_addresses(const ServerConfig& config) {
  std::string all;
  for (const std::string& address : config.*kMember) {
    if (!all.empty()) all += ' ';
    all += address;
  }
  return all;
}

template <auto kMember>
Status set_addresses(ServerConfig& config, std::string_view text) {
  std::vector<std::string> addresses;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) addresses.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  // Each of them is looked up and bound while the clients wait.
  constexpr std::size_t kMostAddresses = 16;
  if (addresses.empty() || addresses.size() > kMostAddresses) {
    return fail(ErrorCode::kInvalidArgument, "between 1 and " + std::to_string(kMostAddresses) +
                                                 " addresses to listen on are needed");
  }
  constexpr std::size_t kLongestName = 255;
  if (std::any_of(addresses.begin(), addresses.end(),
                  [](const std::string& address) { return address.size() > kLongestName; })) {
    return fail(ErrorCode::kInvalidArgument, "an address has at most 255 characters");
  }
  config.*kMember = std::move(addresses);
  return {};
}

/// Empty: none, and everything is in memory only.
Status set_dir(ServerConfig& config, std::string_view text) {
  config.dir = text;
  return {};
}

Status set_loglevel(ServerConfig& config, std::string_view text) {
  // Redis's names for levels, next to ours.
  static constexpr std::array<std::string_view, 8> kLevels = {
      "debug", "verbose", "info", "notice", "warning", "warn", "error", "nothing"};
  for (const std::string_view level : kLevels) {
    if (!equal_ignoring_case(level, text)) continue;
    config.loglevel = level;
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              "argument(s) must be one of the following: debug, verbose, info, notice, warning, "
              "warn, error, nothing");
}

template <auto kMember>
std::string get_switch(const ServerConfig& config) {
  return config.*kMember ? "yes" : "no";
}

template <auto kMember>
Status set_switch(ServerConfig& config, std::string_view text) {
  const bool yes = equal_ignoring_case(text, "yes");
  if (!yes && !equal_ignoring_case(text, "no")) {
    return fail(ErrorCode::kInvalidArgument, "argument must be 'yes' or 'no'");
  }
  config.*kMember = yes;
  return {};
}

/// Empty: none is needed.
Status set_requirepass(ServerConfig& config, std::string_view text) {
  constexpr std::size_t kLongestPassword = 512;
  if (text.size() > kLongestPassword) {
    return fail(ErrorCode::kInvalidArgument, "a password has at most 512 bytes");
  }
  config.requirepass = text;
  return {};
}

Status set_appendfsync(ServerConfig& config, std::string_view text) {
  static constexpr std::array<std::string_view, 3> kPolicies = {"always", "everysec", "no"};
  for (const std::string_view policy : kPolicies) {
    if (!equal_ignoring_case(policy, text)) continue;
    config.appendfsync = policy;
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              "argument(s) must be one of the following: everysec, always, no");
}

Status set_keep_previous_snapshot(ServerConfig& config, std::string_view text) {
  static constexpr std::array<std::string_view, 3> kPolicies = {"no", "until-verified", "yes"};
  for (const std::string_view policy : kPolicies) {
    if (!equal_ignoring_case(policy, text)) continue;
    config.keep_previous_snapshot = policy;
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              "argument(s) must be one of the following: no, until-verified, yes");
}

std::string get_save(const ServerConfig& config) {
  std::string all;
  for (const auto& [seconds, changes] : config.save) {
    if (!all.empty()) all += ' ';
    all += std::to_string(seconds) + ' ' + std::to_string(changes);
  }
  return all;
}

/// "3600 1 300 100", or nothing for never.
Status set_save(ServerConfig& config, std::string_view text) {
  std::vector<std::int64_t> numbers;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) {
      const auto number = parse_integer(text.substr(0, end));
      if (!number || *number < 1 || *number > kMostSeconds) {
        return fail(ErrorCode::kInvalidArgument, "Invalid save parameters");
      }
      numbers.push_back(*number);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (numbers.size() % 2 != 0) {
    return fail(ErrorCode::kInvalidArgument, "Invalid save parameters");
  }
  config.save.clear();
  for (std::size_t i = 0; i < numbers.size(); i += 2) {
    config.save.emplace_back(numbers[i], numbers[i + 1]);
  }
  return {};
}

std::string get_percentiles(const ServerConfig& config) {
  std::string all;
  for (const double percent : config.latency_tracking_info_percentiles) {
    if (!all.empty()) all += ' ';
    all += number_text(percent);
  }
  return all;
}

/// "50 99 99.9", or nothing for none.
Status set_percentiles(ServerConfig& config, std::string_view text) {
  constexpr std::size_t kMostPercentiles = 32;
  std::vector<double> percentiles;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) {
      const auto percent = parse_number<double>(text.substr(0, end));
      if (!percent || std::isnan(*percent)) {
        return fail(ErrorCode::kInvalidArgument,
                    "Invalid latency-tracking-info-percentiles parameters");
      }
      if (!(*percent >= 0 && *percent <= 100)) {
        return fail(ErrorCode::kInvalidArgument,
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
      }
      percentiles.push_back(*percent);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (percentiles.size() > kMostPercentiles) {
    return fail(ErrorCode::kInvalidArgument, "there may be at most 32 percentiles");
  }
  config.latency_tracking_info_percentiles = std::move(percentiles);
  return {};
}

/// Of something that is looked up by it later.
template <auto kMember>
Status set_name(ServerConfig& config, std::string_view text) {
  if (text.empty()) return fail(ErrorCode::kInvalidArgument, "argument must be a name");
  config.*kMember = to_lower(text);
  return {};
}

/// What Redis would have and clients ask for, with the one value that is true here.
template <const char* kValue>
std::string get_fixed(const ServerConfig&) {
  return kValue;
}

constexpr char kNo[] = "no";
constexpr char kOne[] = "1";
constexpr char kNoEviction[] = "noeviction";

constexpr std::array kParameters = {
    Parameter{"bind", get_addresses<&ServerConfig::bind>, set_addresses<&ServerConfig::bind>},
    Parameter{"port", get_number<&ServerConfig::port>, set_number<&ServerConfig::port, 0, 65535>},
    Parameter{"http-bind", get_addresses<&ServerConfig::http_bind>,
              set_addresses<&ServerConfig::http_bind>, false},
    Parameter{"http-port", get_number<&ServerConfig::http_port>,
              set_number<&ServerConfig::http_port, 0, 65535>, false},
    Parameter{"grpc-bind", get_addresses<&ServerConfig::grpc_bind>,
              set_addresses<&ServerConfig::grpc_bind>, false},
    Parameter{"grpc-port", get_number<&ServerConfig::grpc_port>,
              set_number<&ServerConfig::grpc_port, 0, 65535>, false},
    Parameter{"http-timeout", get_number<&ServerConfig::http_timeout>,
              set_number<&ServerConfig::http_timeout, 0, kMostSeconds>},
    Parameter{"http-max-body", get_number<&ServerConfig::http_max_body>,
              set_memory<&ServerConfig::http_max_body, 1024, kMostRequestBytes>},
    Parameter{"http-metric", get_text<&ServerConfig::http_metric>,
              set_name<&ServerConfig::http_metric>},
    Parameter{"http-primitive", get_text<&ServerConfig::http_primitive>,
              set_name<&ServerConfig::http_primitive>},
    Parameter{"maxclients", get_number<&ServerConfig::maxclients>,
              set_number<&ServerConfig::maxclients, 1, 1'000'000>},
    Parameter{"dir", get_text<&ServerConfig::dir>, set_dir},
    Parameter{"timeout", get_number<&ServerConfig::timeout>,
              set_number<&ServerConfig::timeout, 0, kMostSeconds>},
    Parameter{"tcp-keepalive", get_number<&ServerConfig::tcp_keepalive>,
              set_number<&ServerConfig::tcp_keepalive, 0, kMostSeconds>},
    Parameter{"tcp-backlog", get_number<&ServerConfig::tcp_backlog>,
              set_number<&ServerConfig::tcp_backlog, 0, kMostSeconds>, false},
    Parameter{"proto-max-bulk-len", get_number<&ServerConfig::proto_max_bulk_len>,
              set_memory<&ServerConfig::proto_max_bulk_len, 1024UL * 1024, kMostRequestBytes>},
    Parameter{
        "client-query-buffer-limit", get_number<&ServerConfig::client_query_buffer_limit>,
        set_memory<&ServerConfig::client_query_buffer_limit, 1024UL * 1024, kMostRequestBytes>},
    Parameter{"loglevel", get_text<&ServerConfig::loglevel>, set_loglevel},
    Parameter{"workers", get_number<&ServerConfig::workers>,
              set_number<&ServerConfig::workers, 0, 1024>, false},
    Parameter{"kernel", get_text<&ServerConfig::kernel>, set_name<&ServerConfig::kernel>, false},
    Parameter{"databases", get_fixed<kOne>},
    Parameter{"appendonly", get_switch<&ServerConfig::appendonly>,
              set_switch<&ServerConfig::appendonly>, false},
    Parameter{"appendfsync", get_text<&ServerConfig::appendfsync>, set_appendfsync},
    Parameter{"keep-previous-snapshot", get_text<&ServerConfig::keep_previous_snapshot>,
              set_keep_previous_snapshot},
    Parameter{"save", get_save, set_save},
    Parameter{"auto-aof-rewrite-percentage", get_number<&ServerConfig::auto_aof_rewrite_percentage>,
              set_number<&ServerConfig::auto_aof_rewrite_percentage, 0, kMostSeconds>},
    Parameter{"auto-aof-rewrite-min-size", get_number<&ServerConfig::auto_aof_rewrite_min_size>,
              set_memory<&ServerConfig::auto_aof_rewrite_min_size, 0>},
    Parameter{"maxmemory", get_number<&ServerConfig::maxmemory>,
              set_memory<&ServerConfig::maxmemory, 0>},
    Parameter{"attribute-columns-max-bytes", get_number<&ServerConfig::attribute_columns_max_bytes>,
              set_memory<&ServerConfig::attribute_columns_max_bytes, 0>},
    Parameter{"search-cursor-timeout", get_number<&ServerConfig::search_cursor_timeout>,
              set_number<&ServerConfig::search_cursor_timeout, 1, kMostSeconds>},
    Parameter{"search-cursors", get_number<&ServerConfig::search_cursors>,
              set_number<&ServerConfig::search_cursors, 0, 1'000'000>},
    Parameter{"search-cursor-memory", get_number<&ServerConfig::search_cursor_memory>,
              set_memory<&ServerConfig::search_cursor_memory, 0>},
    Parameter{"latency-tracking", get_switch<&ServerConfig::latency_tracking>,
              set_switch<&ServerConfig::latency_tracking>},
    Parameter{"latency-tracking-info-percentiles", get_percentiles, set_percentiles},
    Parameter{"slowlog-log-slower-than", get_number<&ServerConfig::slowlog_log_slower_than>,
              set_number<&ServerConfig::slowlog_log_slower_than, -1, kMostNumber>},
    Parameter{"slowlog-max-len", get_number<&ServerConfig::slowlog_max_len>,
              set_number<&ServerConfig::slowlog_max_len, 0, kMostNumber>},
    Parameter{"maxmemory-policy", get_fixed<kNoEviction>},
    Parameter{"io-threads", get_fixed<kOne>},
    Parameter{"requirepass", get_text<&ServerConfig::requirepass>, set_requirepass},
    Parameter{"protected-mode", get_switch<&ServerConfig::protected_mode>,
              set_switch<&ServerConfig::protected_mode>},
    Parameter{"cluster-enabled", get_fixed<kNo>},
    Parameter{"daemonize", get_fixed<kNo>},
};

}  // namespace

std::span<const Parameter> parameters() {
  return kParameters;
}

const Parameter* find_parameter(std::string_view name) {
  for (const Parameter& parameter : kParameters) {
    if (equal_ignoring_case(parameter.name, name)) return &parameter;
  }
  return nullptr;
}

}  // namespace engram
