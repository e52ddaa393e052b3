// SPDX-License-Identifier: Apache-2.0
// The log of the engine is that of the server.
#include <string>

#include "server/hosts/module/redis_module.h"
#include "server/runtime/log.h"

namespace engram {
namespace {

void log(const char* level, std::string_view message) {
  if (host::api.Log == nullptr) return;
  host::api.Log(nullptr, level, "%s", std::string(message).c_str());
}

}  // namespace

void open_log(const char*) {}
void set_log_level(std::string_view) {}

void log_info(std::string_view message) {
  log("notice", message);
}
void log_warning(std::string_view message) {
  log("warning", message);
}
void log_error(std::string_view message) {
  log("warning", message);
}

}  // namespace engram
