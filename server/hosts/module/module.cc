// SPDX-License-Identifier: Apache-2.0
// engram.so: what the server calls when it loads the module.
#include <pthread.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "server/engine/within_memory.h"
#include "server/hosts/module/commands.h"
#include "server/hosts/module/data_type.h"
#include "server/hosts/module/host.h"
#include "server/hosts/module/redis_module.h"
#include "server/hosts/module/repeat_commands.h"
#include "server/hosts/module/server_memory.h"

namespace engram::host {
namespace {

constexpr const char* kModuleName = "engram";
constexpr int kModuleVersion = 1;
constexpr long long kMostWorkers = 1024;

long long worker_setting = 0;  // 0: one for each core

long long get_workers(const char*, void*) {
  return worker_setting;
}

int set_workers(const char*, long long value, void*, String**) {
  worker_setting = value;
  return kOk;
}

void tell_info(InfoContext* info, int) {
  Host& host = the_host();
  const HostStats& stats = host.stats();
  api.InfoAddSection(info, "module");
  const auto add = [&](const char* name, unsigned long long value) {
    api.InfoAddFieldULongLong(info, name, value);
  };
  add("workers", host.store().workers().size());
  add("blocked_commands", stats.blocked_commands);
  add("pending_loads", pending_loads());
  add("forks", stats.forks);
  add("longest_fork_wait_us", stats.longest_fork_wait_us);
  add("restless_forks", stats.restless_forks);
}

void prepare_fork() {
  the_host().before_fork();
  lock_mapped_memory();
}
void end_fork_in_parent() {
  unlock_mapped_memory();
  the_host().after_fork_in_parent();
}
void end_fork_in_child() {
  unlock_mapped_memory();
  the_host().after_fork_in_child();
}

/// What is static goes at the end of the process, and workers must not meet it then.
void quieten_workers() {
  if (!the_host().is_child()) the_host().before_fork();
}

/// loadmodule engram.so [workers n]
Status read_arguments(String** argv, int argc) {
  const auto text = [&](int i) {
    std::size_t size = 0;
    const char* const bytes = api.StringPtrLen(argv[i], &size);
    return std::string_view(bytes, size);
  };
  for (int i = 0; i < argc; i += 2) {
    const std::string_view number = i + 1 < argc ? text(i + 1) : std::string_view();
    const long long count = parse_number<long long>(number).value_or(-1);
    if (!equal_ignoring_case(text(i), "workers") || count < 0 || count > kMostWorkers) {
      return fail(ErrorCode::kInvalidArgument,
                  "arguments of the module: [workers n], n from 0 (one for each core) to 1024");
    }
    worker_setting = count;
  }
  return {};
}

Status open(Context* context) {
  const bool configured =
      api.RegisterNumericConfig(context, "workers", worker_setting, kImmutable, 0, kMostWorkers,
                                get_workers, set_workers, nullptr, nullptr) == kOk &&
      api.LoadConfigs(context) == kOk;
  if (!configured) return fail(ErrorCode::kUnsupported, "the module's settings are refused");
  auto host = Host::open(static_cast<std::size_t>(worker_setting));
  if (!host) return tl::unexpected(std::move(host.error()));
  const int fd = (*host)->fd();
  set_host(std::move(*host));
  const auto turn = [](int, void*, int) { the_host().turn(); };
  const bool is_registered =
      api.EventLoopAdd(fd, kReadable, turn, nullptr) == kOk && register_index_type(context) &&
      register_commands(context) && register_repeat_commands(context) &&
      api.RegisterInfoFunc(context, tell_info) == kOk &&
      ::pthread_atfork(prepare_fork, end_fork_in_parent, end_fork_in_child) == 0 &&
      std::atexit(quieten_workers) == 0;
  if (!is_registered)
    return fail(ErrorCode::kUnsupported, "the server refuses a part of the module");
  return {};
}

}  // namespace

/// The module cannot be unloaded: its type stays with the server.
extern "C" __attribute__((visibility("default"))) int RedisModule_OnLoad(Context* context,
                                                                         String** argv, int argc) {
  if (const char* const missing = has_host() ? nullptr : load_api(context)) {
    if (api.Log != nullptr) {
      api.Log(context, "warning", "engram needs Redis 7.0 or later: this server has no %s",
              missing);
    }
    return kError;
  }
  if (has_host() || api.IsModuleNameBusy(kModuleName) != 0) {
    api.Log(context, "warning", "engram is loaded already: it cannot be loaded twice");
    return kError;
  }
  api.SetModuleAttribs(context, kModuleName, kModuleVersion, kApiVersion);
  api.SetModuleOptions(context, kHandlesIoErrors | kSignalsByItself);
  count_mapped_memory();
  const Status opened = within_memory([&]() -> Status {
    ENGRAM_TRY(read_arguments(argv, argc));
    return open(context);
  });
  if (opened) return kOk;
  api.Log(context, "warning", "%s", opened.error().message.c_str());
  return kError;
}

}  // namespace engram::host
