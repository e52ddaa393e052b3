// SPDX-License-Identifier: Apache-2.0
// Errors as values. Every fallible function of engram returns a Result; no exception crosses the
// Index seam or the event loop. The one exception is a heap that cannot give a few bytes more: like
// Redis, the process then ends.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace engram {

/// What kind of failure it was. Doors map codes to their protocol's vocabulary in one table.
enum class ErrorCode {
  kInvalidArgument,    ///< the caller's input is wrong; the message says what was expected
  kNotFound,           ///< the named thing does not exist
  kAlreadyExists,      ///< the name is taken
  kWrongType,          ///< the key holds another kind of value
  kUnsupported,        ///< this build or primitive cannot do it
  kResourceExhausted,  ///< mapped memory, slots or descriptors ran out; nothing was changed
  kDataLoss,           ///< stored bytes are damaged or foreign
  kNoSpace,            ///< the disk is full, which may pass
  kUnavailable,        ///< refused by the operating system, for now; or nobody waits any more
  kNotWritable,        ///< nothing can be kept now; the message says why, and when that ends
  kIo,                 ///< the operating system refused; the message carries its reason
};

/// A failure: a code for programs, a sentence for people. The sentence has no protocol prefix, no
/// newline and no trailing full stop.
struct Error {
  ErrorCode code;
  std::string message;
};

/// A value of type T, or the Error that kept it from being made. Ignoring one is a compiler
/// warning, which is why this is a class and not an alias: Debian's tl::expected is not nodiscard.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

/// Makes the failing alternative of any Result.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace engram

/// Leaves the enclosing function with the error of `expression` if it failed.
#define ENGRAM_TRY(expression)                                                      \
  do {                                                                              \
    if (auto engram_try_result = (expression); !engram_try_result.has_value()) {    \
      return tl::unexpected<::engram::Error>(std::move(engram_try_result.error())); \
    }                                                                               \
  } while (false)
