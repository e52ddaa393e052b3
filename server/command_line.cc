// SPDX-License-Identifier: Apache-2.0
// The only file that knows CLI11, whose header takes seconds to compile.
#include "server/command_line.h"

#include <cstdlib>
#include <iostream>

#include <CLI/CLI.hpp>

#include "server/runtime/version.h"

namespace engram {

namespace {

/// What CLI11 would say of a wrong subcommand does not name it.
bool names_subcommand(const CLI::App& app, int argc, char** argv) {
  if (argc > 1 && argv[1][0] == '-') return true;
  const auto is_meant = [&](const CLI::App* subcommand) { return subcommand->check_name(argv[1]); };
  if (argc > 1 && !app.get_subcommands(is_meant).empty()) return true;
  const std::string what =
      argc > 1 ? "there is no subcommand '" + std::string(argv[1]) + "'" : "a subcommand is needed";
  std::cerr << "engram: " << what
            << "; serve starts the server, check reads a data directory, and --help says more\n";
  return false;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  CLI::App app("An associative vector memory, spoken to over Redis's protocol", "engram");
  app.set_version_flag("--version", "engram " + std::string(kVersion));
  app.require_subcommand(1);

  CLI::App& serve = *app.add_subcommand("serve", "Starts the server");
  serve.add_option("config", line.config_file,
                   "File of 'name value' lines, the names being those of CONFIG GET");
  line.flags = {
      {"--port", "port", "TCP port; 0 lets the system choose (6380)"},
      {"--bind", "bind", "Addresses to listen on, separated by spaces (127.0.0.1)"},
      {"--http-port", "http-port", "TCP port for HTTP; 0 leaves it off (0)"},
      {"--http-bind", "http-bind", "Addresses to listen on for HTTP (127.0.0.1)"},
      {"--http-metric", "http-metric",
       "Metric of the collection that the first insert over HTTP makes (cosine)"},
      {"--http-primitive", "http-primitive", "Primitive of that collection (hnsw)"},
      {"--requirepass", "requirepass", "Password that clients give with AUTH (none)"},
      {"--protected-mode", "protected-mode",
       "yes serves only this machine while there is no password (yes)"},
      {"--maxclients", "maxclients", "Connections served at the same time (10000)"},
      {"--maxmemory", "maxmemory", "Memory beyond which writes are refused; 0 sets no limit (0)"},
      {"--dir", "dir", "Directory of the data; without it everything is in memory only"},
      {"--appendonly", "appendonly",
       "yes keeps the data in the directory, no in memory only (yes)"},
      {"--fsync", "appendfsync", "An answer waits for the disk: always, everysec or no (everysec)"},
      {"--workers", "workers", "Threads for searches and inserts (0: one per core)"},
      {"--kernel", "kernel", "Distance kernels: auto, scalar or an instruction set (auto)"},
      {"--log-level", "loglevel", "debug, verbose, info, warning, error or nothing (info)"},
  };
  for (Flag& flag : line.flags) serve.add_option(flag.name, flag.value, flag.help);

  CLI::App& check =
      *app.add_subcommand("check", "Reads all files of a data directory, and says what it finds");
  check.add_option("directory", line.directory, "Where the data is; no server may have it open")
      ->required();
  check.add_flag("--repair", line.repair,
                 "Takes out what is damaged, says what is lost, and keeps it in files named *.cut");

  if (!names_subcommand(app, argc, argv)) {
    line.exit_code = EXIT_FAILURE;
    return line;
  }
  try {
    app.parse(argc, argv);
    line.action = check.parsed() ? CommandLine::Action::kCheck : CommandLine::Action::kServe;
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error);
  }
  return line;
}

}  // namespace engram
