// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

#include "server/config/parameters.h"
#include "server/resp/inline_request.h"

namespace engram {
namespace {

Status apply_line(std::string_view line, ServerConfig& config) {
  std::string arena;
  std::vector<std::string_view> words;
  if (!split_inline(line, arena, words)) {
    return fail(ErrorCode::kInvalidArgument, "unbalanced quotes");
  }
  if (words.empty() || words[0].starts_with('#')) return {};
  const std::string name(words[0]);
  const Parameter* const parameter = find_parameter(name);
  if (parameter == nullptr) {
    return fail(ErrorCode::kInvalidArgument, "there is no parameter '" + name + "'");
  }
  if (words.size() < 2) return fail(ErrorCode::kInvalidArgument, "'" + name + "' needs a value");
  std::string value(words[1]);
  for (std::size_t i = 2; i < words.size(); ++i) value.append(" ").append(words[i]);
  if (parameter->set == nullptr) {
    if (parameter->get(config) == value) return {};
    return fail(ErrorCode::kUnsupported,
                "'" + name + "' can only be '" + parameter->get(config) + "'");
  }
  if (Status status = parameter->set(config, value); !status) {
    return fail(status.error().code, "'" + name + "': " + status.error().message);
  }
  return {};
}

}  // namespace

Status load_config_file(const std::string& path, ServerConfig& config) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::kIo, "cannot open " + path + ": " + std::strerror(errno));
  config.file = path;
  return apply_config(file, path, config);
}

Status apply_config(std::istream& lines, const std::string& path, ServerConfig& config) {
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (Status status = apply_line(line, config); !status) {
      return fail(status.error().code,
                  path + ":" + std::to_string(number) + ": " + status.error().message);
    }
  }
  return {};
}

}  // namespace engram
