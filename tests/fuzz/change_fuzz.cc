// SPDX-License-Identifier: Apache-2.0
// Decodes changes until the bytes end or make no sense; what was decoded has to be encoded to the
// same bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/durability/change.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view left(reinterpret_cast<const char*>(data), size);
  while (!left.empty()) {
    const std::string_view before = left;
    const auto change = engram::decode(left);
    if (!change) {
      if (left != before) std::abort();
      break;
    }
    std::string encoded;
    engram::encode(*change, encoded);
    if (encoded != before.substr(0, before.size() - left.size())) std::abort();
  }
  return 0;
}
