// SPDX-License-Identifier: Apache-2.0
// Feeds bytes to the request parser in pieces whose lengths come from the input itself, and again
// in one piece: both must find the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/resp/parser.h"

namespace {

using engram::RequestParser;

struct Parsed {
  std::vector<std::vector<std::string>> requests;
  std::string error;

  friend bool operator==(const Parsed&, const Parsed&) = default;
};

/// Small limits, so that the fuzzer reaches them.
constexpr engram::ParserLimits kLimits = {
    .max_arguments = 64, .max_bulk_bytes = 512, .max_line_bytes = 128};

Parsed parse(std::string_view stream, std::string_view cuts) {
  RequestParser parser(kLimits);
  Parsed parsed;
  std::string pending;
  for (std::size_t i = 0; !stream.empty(); ++i) {
    const std::size_t length =
        cuts.empty() ? stream.size()
                     : 1 + static_cast<unsigned char>(cuts[i % cuts.size()]) % stream.size();
    pending += stream.substr(0, length);
    stream.remove_prefix(length);
    for (;;) {
      const auto outcome = parser.parse(pending);
      if (outcome == RequestParser::Outcome::kError) {
        parsed.error = parser.error();
        return parsed;
      }
      if (outcome == RequestParser::Outcome::kRequest) {
        parsed.requests.emplace_back(parser.arguments().begin(), parser.arguments().end());
      }
      pending.erase(0, parser.consume());
      if (outcome == RequestParser::Outcome::kIncomplete) break;
    }
  }
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut_count = input.empty() ? 0 : static_cast<unsigned char>(input[0]) % 8;
  if (input.size() <= cut_count) return 0;
  const std::string_view cuts = input.substr(1, cut_count);
  const std::string_view stream = input.substr(1 + cuts.size());
  if (!(parse(stream, cuts) == parse(stream, {}))) std::abort();
  return 0;
}
