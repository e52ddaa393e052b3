// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/config/parameters.h"
#include "server/config/redis_names.h"
#include "server/resp/inline_request.h"

namespace engram {
namespace {

/// Lines of redis.conf that would not do what they are relied on for if they were passed over.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kRefused = {
    {{"include", "one file holds the whole configuration"},
     {"loadmodule", "there are no modules"},
     {"rename-command", "commands cannot be renamed"},
     {"user", "there are no users; requirepass sets the password"},
     {"aclfile", "there are no users; requirepass sets the password"}}};

/// Of the parameters with one value, those that may ask for another: nobody relies on it.
bool is_tolerated(std::string_view name) {
  constexpr std::array<std::string_view, 4> kTolerated = {"databases", "daemonize", "io-threads",
                                                          "maxmemory-policy"};
  return std::find(kTolerated.begin(), kTolerated.end(), name) != kTolerated.end();
}

Status check_name(const std::string& name) {
  for (const auto& [refused, reason] : kRefused) {
    if (!equal_ignoring_case(refused, name)) continue;
    return fail(ErrorCode::kUnsupported, "'" + name + "' is not supported: " + std::string(reason));
  }
  if (find_parameter(name) != nullptr || is_redis_parameter(name)) return {};
  return fail(ErrorCode::kInvalidArgument, "there is no parameter '" + name + "'");
}

class ConfigReader {
 public:
  explicit ConfigReader(ServerConfig& config) : config_(config) {}

  Status read_line(std::string_view line) {
    // A comment is no argument list: it may hold an apostrophe.
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos || line[start] == '#') return {};
    std::string arena;
    std::vector<std::string_view> words;
    if (!split_inline(line, arena, words)) {
      return fail(ErrorCode::kInvalidArgument, "unbalanced quotes");
    }
    if (words.empty()) return {};
    const std::string name(words[0]);
    ENGRAM_TRY(check_name(name));
    if (words.size() < 2) return fail(ErrorCode::kInvalidArgument, "'" + name + "' needs a value");
    std::string value(words[1]);
    for (std::size_t i = 2; i < words.size(); ++i) value.append(" ").append(words[i]);
    return set(name, std::move(value));
  }

  UnusedSettings take_unused() && { return std::move(unused_); }

 private:
  Status set(const std::string& name, std::string value) {
    const Parameter* const parameter = find_parameter(name);
    if (parameter == nullptr) {
      add_unused(name);
      return {};
    }
    if (parameter->set == nullptr) {
      const std::string only = parameter->get(config_);
      if (only == value) return {};
      if (!is_tolerated(parameter->name)) {
        return fail(ErrorCode::kUnsupported, "'" + name + "' can only be '" + only + "'");
      }
      add_unused(name + " " + value + " (it is always " + only + ")");
      return {};
    }
    if (parameter->name == "save" && std::exchange(has_save_, true) && !value.empty()) {
      value = parameter->get(config_) + " " + value;
    }
    if (Status status = parameter->set(config_, value); !status) {
      return fail(status.error().code, "'" + name + "': " + status.error().message);
    }
    return {};
  }

  void add_unused(std::string setting) {
    if (std::find(unused_.begin(), unused_.end(), setting) == unused_.end()) {
      unused_.push_back(std::move(setting));
    }
  }

  ServerConfig& config_;
  UnusedSettings unused_;
  bool has_save_ = false;  // its first line replaces the default
};

}  // namespace

Result<UnusedSettings> load_config_file(const std::string& path, ServerConfig& config) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) {
    return fail(ErrorCode::kInvalidArgument,
                path +
                    " is a directory, and a configuration file is expected; to keep the data "
                    "there, say --dir " +
                    path);
  }
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::kIo, "cannot open " + path + ": " + std::strerror(errno));
  config.file = path;
  return apply_config(file, path, config);
}

Result<UnusedSettings> apply_config(std::istream& lines, const std::string& path,
                                    ServerConfig& config) {
  ConfigReader reader(config);
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (Status status = reader.read_line(line); !status) {
      return fail(status.error().code,
                  path + ":" + std::to_string(number) + ": " + status.error().message);
    }
  }
  if (lines.bad()) return fail(ErrorCode::kIo, "cannot read " + path + ": " + std::strerror(errno));
  return std::move(reader).take_unused();
}

}  // namespace engram
