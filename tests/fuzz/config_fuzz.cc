// SPDX-License-Identifier: Apache-2.0
// Reads a configuration file. What it set, given back in the form of CONFIG GET, has to be accepted
// and to mean the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "server/config/config_file.h"
#include "server/config/parameters.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  engram::ServerConfig config;
  if (!engram::apply_config(lines, "fuzz", config)) return 0;
  for (const engram::Parameter& parameter : engram::parameters()) {
    if (parameter.set == nullptr) continue;
    const std::string value = parameter.get(config);
    engram::ServerConfig again = config;
    if (!parameter.set(again, value) || parameter.get(again) != value) std::abort();
  }
  return 0;
}
