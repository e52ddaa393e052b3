// SPDX-License-Identifier: Apache-2.0
#include "server/commands/secrets.h"

#include "core/text.h"

namespace engram {

bool is_secret(const CommandSpec& spec, Arguments argv, std::size_t i) {
  if (spec.name == "auth") return i > 0;
  if (spec.name == "hello") {
    const auto follows_auth = [argv](std::size_t word) {
      return word >= 2 && equal_ignoring_case(argv[word], "AUTH");
    };
    return (i > 2 && follows_auth(i - 1)) || (i > 3 && follows_auth(i - 2));
  }
  return i >= 3 && i % 2 == 1 && equal_ignoring_case(argv[i - 1], "requirepass");  // CONFIG SET
}

}  // namespace engram
