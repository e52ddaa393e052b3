// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

/// A request as it came. Names of fields are in lower case.
struct HttpRequest {
  std::string method;
  std::string target;  ///< as it is written, percent signs and all
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;          ///< without the chunks that it may have come in
  bool is_http_1_1 = false;  ///< else it is 1.0
  bool keeps_alive = false;  ///< the client expects to send another
  bool has_body = false;

  /// The value of the first field of that name, in lower case; empty if there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const noexcept;
  /// Content-Type without its parameters; empty if it is not said.
  [[nodiscard]] std::string_view media_type() const noexcept;
};

/// A response that says what is wrong with a request.
struct HttpRefusal {
  int status;
  std::string message;
  std::string allow = {};  ///< of 405: the methods that there are
};

}  // namespace engram
