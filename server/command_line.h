// SPDX-License-Identifier: Apache-2.0
// What the arguments of the program ask for.
#pragma once

#include <string>
#include <vector>

#include "server/hosts/cli/request.h"

namespace engram {

/// A flag of `serve` is the configuration parameter of the same name; it overrides the file.
struct Flag {
  const char* name;
  const char* parameter;
  const char* help;
  std::string value = {};  ///< empty: it was not given
};

struct CommandLine {
  enum class Action { kServe, kCheck, kCli, kPrint, kExit };

  Action action = Action::kExit;
  int exit_code = 0;  ///< of kExit: the help was printed, or what is wrong with the arguments

  std::string config_file;  ///< of kServe; empty: there is none
  std::vector<Flag> flags;
  std::string role = "server";  ///< of kServe; or router
  std::string cluster;          ///< of a router: host:port,host:port...
  std::string cluster_user;
  std::string cluster_password;
  int node_timeout_ms = 5000;
  std::string reads = "master";  ///< or hedge, replica
  int staleness_ms = 1000;

  std::string directory;  ///< of kCheck
  bool repair = false;

  CliRequest cli;    ///< of kCli
  std::string text;  ///< of kPrint
};

CommandLine parse_command_line(int argc, char** argv);

}  // namespace engram
