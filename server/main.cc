// SPDX-License-Identifier: Apache-2.0
// The command line of engram.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <CLI/CLI.hpp>

#include "server/config/config.h"
#include "server/config/config_file.h"
#include "server/config/parameters.h"
#include "server/durability/check.h"
#include "server/durability/file_system.h"
#include "server/hosts/serve/server.h"
#include "server/runtime/process.h"
#include "server/runtime/version.h"

namespace {

std::atomic<engram::Server*> serving = nullptr;
static_assert(std::atomic<engram::Server*>::is_always_lock_free);

extern "C" void end_serving(int) {
  if (engram::Server* const server = serving.load()) server->request_shutdown();
}

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = end_serving;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  // A peer that went away is seen by the write that fails.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

int complain(const std::string& message) {
  std::fprintf(stderr, "engram: %s\n", message.c_str());
  return EXIT_FAILURE;
}

/// A flag of `serve` is the configuration parameter of the same name; it overrides the file.
struct Flag {
  const char* name;
  const char* parameter;
  const char* help;
  std::string value = {};
};

int serve(const std::string& config_file, const std::vector<Flag>& flags) {
  engram::ServerConfig config;
  if (!config_file.empty()) {
    if (const auto loaded = engram::load_config_file(config_file, config); !loaded) {
      return complain(loaded.error().message);
    }
  }
  for (const Flag& flag : flags) {
    if (flag.value.empty()) continue;
    const auto set = engram::find_parameter(flag.parameter)->set(config, flag.value);
    if (!set) return complain(std::string(flag.name) + ": " + set.error().message);
  }
  spdlog::set_default_logger(spdlog::stderr_color_mt("engram"));
  engram::set_log_level(config.loglevel);
  auto server = engram::Server::make(std::move(config));
  if (!server) return complain(server.error().message);
  serving.store(server->get());
  install_signal_handlers();
  spdlog::info("engram {} is ready", engram::kVersion);
  const auto ended = (*server)->run();
  serving.store(nullptr);
  if (!ended) return complain(ended.error().message);
  spdlog::info("engram ends");
  return EXIT_SUCCESS;
}

int check(const std::string& directory, bool repair) {
  const auto report = engram::check_store(engram::posix_file_system(), directory, repair);
  if (!report) return complain(report.error().message);
  for (const std::string& line : report->lines) std::printf("%s\n", line.c_str());
  return report->damaged ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("An associative vector memory, spoken to over Redis's protocol", "engram");
  app.set_version_flag("--version", "engram " + std::string(engram::kVersion));
  app.require_subcommand(1);

  CLI::App& command = *app.add_subcommand("serve", "Starts the server");
  std::string config_file;
  command.add_option("config", config_file,
                     "File of 'name value' lines, the names being those of CONFIG GET");
  std::vector<Flag> flags = {
      {"--port", "port", "TCP port; 0 lets the system choose (6380)"},
      {"--bind", "bind", "Addresses to listen on, separated by spaces (127.0.0.1)"},
      {"--maxclients", "maxclients", "Connections served at the same time (10000)"},
      {"--dir", "dir", "Directory of the data (.)"},
      {"--appendonly", "appendonly",
       "yes keeps the data in the directory, no in memory only (yes)"},
      {"--fsync", "appendfsync", "An answer waits for the disk: always, everysec or no (everysec)"},
      {"--workers", "workers", "Threads for searches and inserts (0: one per core)"},
      {"--kernel", "kernel", "Distance kernels: auto, scalar or an instruction set (auto)"},
      {"--log-level", "loglevel", "debug, verbose, info, warning, error or nothing (info)"},
  };
  for (Flag& flag : flags) command.add_option(flag.name, flag.value, flag.help);

  CLI::App& checking =
      *app.add_subcommand("check", "Reads all files of a data directory, and says what it finds");
  std::string directory;
  bool repair = false;
  checking.add_option("directory", directory, "Where the data is; no server may have it open")
      ->required();
  checking.add_flag("--repair", repair,
                    "Cuts off what cannot be replayed, and keeps it in files named *.cut");

  CLI11_PARSE(app, argc, argv);
  if (checking.parsed()) return check(directory, repair);
  return serve(config_file, flags);
}
