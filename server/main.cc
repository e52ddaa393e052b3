// SPDX-License-Identifier: Apache-2.0
// The program: serves, checks a directory, or carries out a command on data.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "server/command_line.h"
#include "server/config/config.h"
#include "server/config/config_file.h"
#include "server/config/parameters.h"
#include "server/doors/grpc/grpc_door.h"
#include "server/durability/check.h"
#include "server/durability/file_system.h"
#include "server/hosts/cli/request.h"
#include "server/hosts/router/http_front.h"
#include "server/hosts/router/router.h"
#include "server/hosts/serve/server.h"
#include "server/runtime/log.h"
#include "server/runtime/version.h"

namespace {

std::atomic<engram::Server*> serving = nullptr;
std::atomic<engram::router::Router*> routing = nullptr;
static_assert(std::atomic<engram::Server*>::is_always_lock_free);

extern "C" void end_serving(int) {
  if (engram::Server* const server = serving.load()) server->request_shutdown();
  if (engram::router::Router* const router = routing.load()) router->request_shutdown();
}

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = end_serving;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  // A peer that went away is seen by the write that fails.
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
  // A terminal that is closed, or a rotation of logs, is no reason to end.
  ::sigaction(SIGHUP, &action, nullptr);
}

int complain(const std::string& message) {
  std::fprintf(stderr, "engram: %s\n", message.c_str());
  return EXIT_FAILURE;
}

void warn_of(const engram::UnusedSettings& unused, const std::string& file) {
  if (unused.empty()) return;
  std::string all;
  for (const std::string& setting : unused) all += (all.empty() ? "" : ", ") + setting;
  engram::log_warning(file + " has settings that mean nothing here: " + all);
}

engram::router::Reads reads_named(std::string_view name) {
  const auto& names = engram::router::kReadsNames;
  const auto* const found = std::find(std::begin(names), std::end(names), name);
  return static_cast<engram::router::Reads>(found - std::begin(names));
}

int route(const engram::CommandLine& line, const engram::ServerConfig& config) {
  auto seeds = engram::router::parse_cluster(line.cluster);
  if (!seeds) return complain(seeds.error().message);
  auto router = engram::router::Router::make(
      config,
      {.seeds = std::move(*seeds),
       .timeout_ms = line.node_timeout_ms,
       .reads = reads_named(line.reads),
       .staleness_ms = line.staleness_ms,
       .link = {.user = line.cluster_user, .password = line.cluster_password}},
      engram::router::http_doorway());
  if (!router) return complain(router.error().message);
  routing.store(router->get());
  install_signal_handlers();
  engram::log_info("engram " + std::string(engram::kVersion) + " is ready: a router before " +
                   line.cluster);
  (*router)->run();
  routing.store(nullptr);
  engram::log_info("engram ends");
  return EXIT_SUCCESS;
}

int serve(const engram::CommandLine& line) {
  engram::ServerConfig config;
  engram::UnusedSettings unused;
  if (!line.config_file.empty()) {
    auto loaded = engram::load_config_file(line.config_file, config);
    if (!loaded) return complain(loaded.error().message);
    unused = std::move(*loaded);
  }
  for (const engram::Flag& flag : line.flags) {
    if (flag.value.empty()) continue;
    const auto set = engram::find_parameter(flag.parameter)->set(config, flag.value);
    if (!set) return complain(std::string(flag.name) + ": " + set.error().message);
  }
  engram::open_log("engram");
  engram::set_log_level(config.loglevel);
  warn_of(unused, config.file);
  if (line.role == "router") return route(line, config);
  if (!line.cluster.empty()) return complain("--cluster is for --role router");
#ifdef ENGRAM_GRPC
  constexpr engram::GrpcOpener kOpenGrpc = engram::open_grpc_door;
#else
  constexpr engram::GrpcOpener kOpenGrpc = nullptr;
#endif
  auto server = engram::Server::make(std::move(config), engram::posix_file_system(), kOpenGrpc);
  if (!server) return complain(server.error().message);
  serving.store(server->get());
  install_signal_handlers();
  engram::log_info("engram " + std::string(engram::kVersion) +
                   " is ready: " + (*server)->description());
  const auto ended = (*server)->run();
  serving.store(nullptr);
  if (!ended) return complain(ended.error().message);
  engram::log_info("engram ends");
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
  const engram::CommandLine line = engram::parse_command_line(argc, argv);
  switch (line.action) {
    case engram::CommandLine::Action::kServe:
      return serve(line);
    case engram::CommandLine::Action::kCheck:
      return check(line.directory, line.repair);
    case engram::CommandLine::Action::kCli:
      return engram::run_cli(line.cli);
    case engram::CommandLine::Action::kPrint:
      return std::fputs(line.text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? EXIT_FAILURE
                                                                                   : EXIT_SUCCESS;
    case engram::CommandLine::Action::kExit:
      return line.exit_code;
  }
  return EXIT_FAILURE;
}
