// SPDX-License-Identifier: Apache-2.0
// Commands as clients send them.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "server/resp/reply_writer.h"

namespace engram {

/// Appends a command as servers take it: an array of bulks.
inline void append_command(std::string& out, std::span<const std::string_view> words) {
  ReplyWriter writer(out, RespVersion::kResp2);
  writer.array(words.size());
  for (const std::string_view word : words) writer.bulk(word);
}
inline void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  append_command(out, std::span(words.begin(), words.size()));
}

/// The bytes of one command.
inline std::string encode_command(std::span<const std::string_view> words) {
  std::string out;
  append_command(out, words);
  return out;
}
inline std::string encode_command(std::initializer_list<std::string_view> words) {
  return encode_command(std::span(words.begin(), words.size()));
}

}  // namespace engram
