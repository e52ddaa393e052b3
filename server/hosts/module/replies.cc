// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/replies.h"

#include <charconv>
#include <cstddef>
#include <string>

#include "core/assert.h"

namespace engram::host {
namespace {

/// Walks over replies; what our own writer wrote needs no checks.
class Walk {
 public:
  Walk(Context* context, std::string_view bytes) : context_(context), bytes_(bytes) {}

  void give_one() {
    const char kind = bytes_.front();
    const std::string line(take_line());
    switch (kind) {
      case '+':
        api.ReplyWithSimpleString(context_, line.c_str());
        return;
      case '-':
        api.ReplyWithError(context_, line.c_str());
        return;
      case ':':
        api.ReplyWithLongLong(context_, number<long long>(line));
        return;
      case ',':
        api.ReplyWithDouble(context_, number<double>(line));
        return;
      case '#':
        api.ReplyWithBool(context_, line == "t" ? 1 : 0);
        return;
      case '_':
        api.ReplyWithNull(context_);
        return;
      default:
        give_sized(kind, number<long>(line));
    }
  }

 private:
  void give_sized(char kind, long size) {
    switch (kind) {
      case '$':
      case '=':
        give_text(kind, size);
        return;
      case '*':
        if (size < 0) {
          api.ReplyWithNullArray(context_);
          return;
        }
        api.ReplyWithArray(context_, size);
        give_many(size);
        return;
      case '~':
        api.ReplyWithSet(context_, size);
        give_many(size);
        return;
      default:
        ENGRAM_ASSERT(kind == '%');
        api.ReplyWithMap(context_, size);
        give_many(2 * size);
    }
  }

  void give_text(char kind, long size) {
    if (size < 0) {
      api.ReplyWithNull(context_);
      return;
    }
    const std::string_view text = bytes_.substr(0, static_cast<std::size_t>(size));
    bytes_.remove_prefix(text.size() + kBreak.size());
    if (kind == '$') {
      api.ReplyWithStringBuffer(context_, text.data(), text.size());
      return;
    }
    const std::string_view body = text.substr(kFormat.size());
    api.ReplyWithVerbatimString(context_, body.data(), body.size());
  }

  void give_many(long count) {
    for (long i = 0; i < count; ++i) give_one();
  }

  std::string_view take_line() {
    const std::size_t end = bytes_.find(kBreak);
    const std::string_view line = bytes_.substr(1, end - 1);
    bytes_.remove_prefix(end + kBreak.size());
    return line;
  }

  template <class Number>
  static Number number(const std::string& text) {
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }

  static constexpr std::string_view kBreak = "\r\n";
  static constexpr std::string_view kFormat = "txt:";

  Context* const context_;
  std::string_view bytes_;
};

}  // namespace

void give_reply(Context* context, std::string_view reply) {
  Walk(context, reply).give_one();
}

}  // namespace engram::host
