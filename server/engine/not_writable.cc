// SPDX-License-Identifier: Apache-2.0
#include "server/engine/not_writable.h"

#include <string>
#include <string_view>

namespace engram {

Error not_writable(const Error& why) {
  const std::string_view remedy =
      why.code == ErrorCode::kNoSpace       ? "writes are accepted again when there is space"
      : why.code == ErrorCode::kUnavailable ? "writes are accepted again when that has passed"
                                            : "writes are refused until the server is started "
                                              "anew, and VSAVE saves what is in memory";
  return {ErrorCode::kNotWritable, "Errors writing to the journal: " + why.message +
                                       "; reads are served, " + std::string(remedy)};
}

}  // namespace engram
