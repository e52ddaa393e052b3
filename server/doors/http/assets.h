// SPDX-License-Identifier: Apache-2.0
// The files of page/, which the program carries: embed.py makes the table at build time.
#pragma once

#include <span>
#include <string_view>

namespace engram {

struct Asset {
  std::string_view path;  ///< that it is served at
  std::string_view content_type;
  std::string_view etag;  ///< with its quotation marks
  std::string_view bytes;
};

std::span<const Asset> assets();

}  // namespace engram
