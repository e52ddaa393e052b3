// SPDX-License-Identifier: Apache-2.0
// CONFIG: reads and changes the table of parameters.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/glob.h"
#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/config/parameters.h"
#include "server/engine/keyspace.h"
#include "server/engine/persistence.h"
#include "server/metrics/server_stats.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

void config_get(CommandContext& context) {
  std::vector<bool> is_asked_for(parameters().size());
  for (const std::string_view text : context.argv.subspan(2)) {
    GlobPattern pattern(text, /*ignore_case=*/true);
    for (std::size_t i = 0; i < is_asked_for.size(); ++i) {
      is_asked_for[i] = is_asked_for[i] || pattern.matches(parameters()[i].name);
    }
  }
  std::vector<const Parameter*> found;
  for (std::size_t i = 0; i < is_asked_for.size(); ++i) {
    if (is_asked_for[i]) found.push_back(&parameters()[i]);
  }
  context.reply.map(found.size());
  for (const Parameter* const parameter : found) {
    context.reply.bulk(parameter->name);
    context.reply.bulk(parameter->get(context.services.config));
  }
}

/// Why a CONFIG SET failed.
struct Failure {
  std::string_view parameter;
  std::string reason;
};

void write_failure(ReplyWriter& reply, const Failure& failure) {
  reply.error("ERR CONFIG SET failed (possibly related to argument '" +
              std::string(failure.parameter) + "') - " + failure.reason);
}

/// The configuration after all the pairs of argv, or the first failure.
tl::expected<ServerConfig, Failure> changed_config(Arguments argv, const ServerConfig& former) {
  ServerConfig config = former;
  std::vector<const Parameter*> seen;
  for (std::size_t i = 2; i < argv.size(); i += 2) {
    const Parameter& parameter = *find_parameter(argv[i]);
    if (std::find(seen.begin(), seen.end(), &parameter) != seen.end()) {
      return tl::unexpected(Failure{parameter.name, "duplicate parameter"});
    }
    seen.push_back(&parameter);
    if (parameter.set == nullptr || !parameter.mutable_at_run_time) {
      // Programs that make sure of a value are content with the one that there is.
      if (equal_ignoring_case(parameter.get(former), argv[i + 1])) continue;
      return tl::unexpected(Failure{parameter.name, "can't set immutable config"});
    }
    if (const Status status = parameter.set(config, argv[i + 1]); !status) {
      return tl::unexpected(Failure{parameter.name, status.error().message});
    }
  }
  return config;
}

/// Makes the server do what `config` says. What can fail comes first and the listeners last, so
/// that a failure leaves everything as it was.
std::optional<Failure> apply(ServerConfig& config, Services& services) {
  const ServerConfig& former = services.config;
  if (config.dir != former.dir && services.store.persistence() != nullptr) {
    return Failure{"dir", "the server keeps its data there"};
  }
  if (config.dir != former.dir && !config.dir.empty()) {
    const auto path = directory_path(config.dir);
    if (!path) return Failure{"dir", path.error().message};
    config.dir = *path;
  }
  if (config.maxclients > former.maxclients) {
    if (const auto fit = reserve_descriptors(config.maxclients); fit < config.maxclients) {
      return Failure{"maxclients",
                     "The operating system is not able to handle the specified number of clients, "
                     "try with " +
                         std::to_string(fit)};
    }
  }
  if (config.bind != former.bind || config.port != former.port) {
    const auto port = services.front_end.listen(config.bind, config.port);
    if (!port) {
      return config.port == former.port
                 ? Failure{"bind", "Failed to bind to specified addresses."}
                 : Failure{"port", "Unable to listen on this port. Check server logs."};
    }
    config.port = *port;
  }
  if (services.store.persistence() != nullptr) {
    services.store.persistence()->set_policy(fsync_policy(config.appendfsync));
    services.store.persistence()->set_keep_previous(keep_previous(config.keep_previous_snapshot));
  }
  services.store.set_most_column_bytes(config.attribute_columns_max_bytes);
  set_log_level(config.loglevel);
  return std::nullopt;
}

void config_set(CommandContext& context) {
  if (context.argv.size() % 2 != 0) {
    return context.reply.error("ERR wrong number of arguments for 'config|set' command");
  }
  for (std::size_t i = 2; i < context.argv.size(); i += 2) {
    if (find_parameter(context.argv[i]) != nullptr) continue;
    return context.reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                               shown_c(context.argv[i]) + "'");
  }
  auto config = changed_config(context.argv, context.services.config);
  if (!config) return write_failure(context.reply, config.error());
  if (const auto failure = apply(*config, context.services)) {
    return write_failure(context.reply, *failure);
  }
  context.services.config = std::move(*config);
  context.reply.ok();
}

void config_resetstat(CommandContext& context) {
  context.services.stats.reset();
  context.services.store.keyspace().reset_stats();
  context.reply.ok();
}

void config_rewrite(CommandContext& context) {
  context.reply.error(context.services.config.file.empty()
                          ? "ERR The server is running without a config file"
                          : "ERR this server never writes its configuration file");
}

using namespace command_flag;
constexpr std::uint32_t kConfigFlags = kAdmin | kNoScript | kLoading | kStale;

constexpr std::array kConfigSubcommands = {
    CommandSpec{.name = "get",
                .handler = config_get,
                .arity = -3,
                .flags = kConfigFlags,
                .group = "server",
                .summary = "Returns the parameters whose names match a pattern, with their values",
                .syntax = "pattern...",
                .complexity = "O(N) in the number of parameters",
                .since = "2.0.0"},
    CommandSpec{.name = "set",
                .handler = config_set,
                .arity = -4,
                .flags = kConfigFlags | kTellsSecrets,
                .group = "server",
                .summary = "Changes parameters while the server runs: all of them or none",
                .syntax = "<parameter value>...",
                .complexity = "O(N) in the number of parameters",
                .since = "2.0.0"},
    CommandSpec{.name = "resetstat",
                .handler = config_resetstat,
                .arity = 2,
                .flags = kConfigFlags,
                .group = "server",
                .summary = "Sets the counters of INFO to zero",
                .since = "2.0.0"},
    CommandSpec{.name = "rewrite",
                .handler = config_rewrite,
                .arity = 2,
                .flags = kConfigFlags,
                .group = "server",
                .summary = "Answers an error: the configuration file is never written",
                .since = "2.8.0"},
    help_command("5.0.0"),
};

constexpr std::array kConfigCommands = {
    CommandSpec{.name = "config",
                .arity = -2,
                .group = "server",
                .summary = "Reads and changes the configuration",
                .complexity = "Depends on subcommand",
                .since = "2.0.0",
                .subcommands = kConfigSubcommands},
};

}  // namespace

std::span<const CommandSpec> config_commands() {
  return kConfigCommands;
}

}  // namespace engram
