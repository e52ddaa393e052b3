// SPDX-License-Identifier: Apache-2.0
// The only file that knows spdlog, whose headers take seconds to compile.
#include "server/runtime/log.h"

#include <array>
#include <utility>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "core/text.h"

namespace engram {

void open_log(const char* program) {
  spdlog::set_default_logger(spdlog::stderr_color_mt(program));
}

void set_log_level(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 8> kLevels = {
      {{"debug", spdlog::level::trace},
       {"verbose", spdlog::level::debug},
       {"info", spdlog::level::info},
       {"notice", spdlog::level::info},
       {"warning", spdlog::level::warn},
       {"warn", spdlog::level::warn},
       {"error", spdlog::level::err},
       {"nothing", spdlog::level::off}}};
  for (const auto& [level, value] : kLevels) {
    if (equal_ignoring_case(level, name)) spdlog::set_level(value);
  }
}

void log_info(std::string_view message) {
  spdlog::default_logger_raw()->log(spdlog::level::info, message);
}

void log_warning(std::string_view message) {
  spdlog::default_logger_raw()->log(spdlog::level::warn, message);
}

void log_error(std::string_view message) {
  spdlog::default_logger_raw()->log(spdlog::level::err, message);
}

}  // namespace engram
