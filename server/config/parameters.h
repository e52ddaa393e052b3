// SPDX-License-Identifier: Apache-2.0
// The configuration parameters as a table: CONFIG GET, CONFIG SET, the configuration file and their
// errors all read it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/config/config.h"

namespace engram {

struct Parameter {
  std::string_view name;
  std::string (*get)(const ServerConfig&);
  /// Changes the configuration only, not the server. The error is the reason that follows "CONFIG
  /// SET failed (possibly related to argument 'x') - ". Null: the parameter is told for
  /// compatibility and never was anything else.
  Status (*set)(ServerConfig&, std::string_view value) = nullptr;
  bool mutable_at_run_time = true;
};

std::span<const Parameter> parameters();

/// Case-insensitive; null if there is no such parameter.
const Parameter* find_parameter(std::string_view name);

}  // namespace engram
