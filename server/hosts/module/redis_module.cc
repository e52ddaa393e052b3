// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/redis_module.h"

#include <cstring>

namespace engram::host {

Api api;

/// The context begins with the pointer of the function that knows all others.
const char* load_api(Context* context) {
  using Find = int (*)(const char* name, void* function);
  Find find = nullptr;
  std::memcpy(&find, context, sizeof find);
#define ENGRAM_FIND(name, result, parameters) \
  if (find("RedisModule_" #name, &api.name) != kOk) return #name;
  ENGRAM_MODULE_API(ENGRAM_FIND)
#undef ENGRAM_FIND
#define ENGRAM_FIND_OPTIONAL(name, result, parameters) find("RedisModule_" #name, &api.name);
  ENGRAM_OPTIONAL_MODULE_API(ENGRAM_FIND_OPTIONAL)
#undef ENGRAM_FIND_OPTIONAL
  return nullptr;
}

}  // namespace engram::host
