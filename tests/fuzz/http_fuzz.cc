// SPDX-License-Identifier: Apache-2.0
// The first byte says how the rest is cut. However it is, the requests are the same, and none has a
// larger body than may be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/doors/http/http_parser.h"

namespace {

using namespace engram;
using Outcome = HttpParser::Outcome;

constexpr std::size_t kMostBody = 4096;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Parsed {
  std::vector<std::string> requests;
  int status = 0;

  bool operator==(const Parsed&) const = default;
};

Parsed parse(std::string_view stream, std::size_t piece) {
  Parsed parsed;
  HttpParser parser;
  std::string input;
  while (true) {
    const auto [outcome, consumed] = parser.parse(input, kMostBody);
    require(consumed <= input.size());
    input.erase(0, consumed);
    if (outcome == Outcome::kRequest) {
      const HttpRequest& request = parser.request();
      require(request.body.size() <= kMostBody);
      require(request.has_body || request.body.empty());
      parsed.requests.push_back(request.method + ' ' + request.target + ' ' + request.body);
      parser.begin_next();
    } else if (outcome == Outcome::kRefused) {
      parsed.status = parser.refusal().status;
      require(parsed.status >= 400 && !parser.refusal().message.empty());
      return parsed;
    } else if (outcome == Outcome::kIncomplete) {
      require(input.size() <= 4 * HttpParser::kMostHeadBytes);
      if (stream.empty()) return parsed;
      const std::size_t size = std::min(piece, stream.size());
      input += stream.substr(0, size);
      stream.remove_prefix(size);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Parsed pieces = parse(stream, std::size_t{data[0]} + 1);
  const Parsed bytes = parse(stream, 1);
  require(pieces.requests == bytes.requests);
  return 0;
}
