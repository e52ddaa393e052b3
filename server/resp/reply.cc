// SPDX-License-Identifier: Apache-2.0
#include "server/resp/reply.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::size_t kMostDepth = 8;
constexpr std::size_t kMostLineBytes = 64UL * 1024;
constexpr std::size_t kMostReplyBytes = 1UL << 30;
constexpr std::size_t kLeastElementBytes = 3;       // a kind and the end of its line
constexpr std::uint64_t kMostElements = 1UL << 25;  // each becomes a Reply
constexpr std::string_view kLineEnd = "\r\n";

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  Reply read() {
    using Kind = Reply::Kind;
    const std::string_view line = take_line();
    const std::string_view rest = line.substr(1);
    switch (line.front()) {
      case '+':
        return {.kind = Kind::kText, .text = std::string(rest)};
      case '-':
        return Reply::error(std::string(rest));
      case ',':
      case '(':
        return {.kind = Kind::kReal, .text = std::string(rest)};
      case '#':
        return {.kind = Kind::kBoolean, .integer = rest == "t" ? 1 : 0};
      case ':':
        return {.kind = Kind::kInteger, .integer = parse_number<std::int64_t>(rest).value_or(0)};
      case '_':
        return {};
      case '$':
        return read_bulk(rest, 0, Kind::kText);
      case '!':
        return read_bulk(rest, 0, Kind::kError);
      case '=':  // with its kind in front: txt:
        return read_bulk(rest, 4, Kind::kText);
      case '%':
        return read_items(rest, 2, Kind::kMap);
      default:
        return read_items(rest, 1, Kind::kArray);
    }
  }

 private:
  std::string_view take_line() {
    const std::size_t end = bytes_.find(kLineEnd);
    const std::string_view line = bytes_.substr(0, end);
    bytes_.remove_prefix(end + kLineEnd.size());
    return line;
  }

  Reply read_bulk(std::string_view header, std::size_t prefix, Reply::Kind kind) {
    const auto size = parse_number<std::size_t>(header);
    if (!size) return {};
    const std::string_view text = bytes_.substr(0, *size);
    bytes_.remove_prefix(*size + kLineEnd.size());
    return {.kind = kind, .text = std::string(text.substr(std::min(prefix, text.size())))};
  }

  Reply read_items(std::string_view header, std::size_t each, Reply::Kind kind) {
    const auto count = parse_number<std::size_t>(header);
    if (!count) return {};
    Reply reply = {.kind = kind};
    reply.items.reserve(std::min(*count * each, bytes_.size() / kLeastElementBytes));
    for (std::size_t i = 0; i < *count * each; ++i) reply.items.push_back(read());
    return reply;
  }

  std::string_view bytes_;
};

}  // namespace

bool Reply::is_error(std::string_view prefix) const noexcept {
  if (kind != Kind::kError || !text.starts_with(prefix)) return false;
  return text.size() == prefix.size() || text[prefix.size()] == ' ';
}

std::string Reply::error_text() const {
  constexpr std::string_view kPrefix = "ERR ";
  return text.starts_with(kPrefix) ? text.substr(kPrefix.size()) : text;
}

const Reply* Reply::find(std::string_view name) const noexcept {
  if (kind != Kind::kMap) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == name) return &items[i + 1];
  }
  return nullptr;
}

ReplyScanner::Outcome ReplyScanner::scan(std::string_view input) {
  for (;;) {
    if (bulk_ != 0) {
      const std::size_t passed = std::min(bulk_, input.size() - position_);
      position_ += passed;
      bulk_ -= passed;
      if (bulk_ != 0) return Outcome::kIncomplete;
      take_element();
    } else {
      const Outcome outcome = scan_one(input);
      if (outcome != Outcome::kReply) return outcome;
    }
    if (bulk_ == 0 && missing_.empty()) {
      size_ = std::exchange(position_, 0);
      searched_ = 0;
      elements_ = 0;
      return Outcome::kReply;
    }
  }
}

/// One header line, and what it opens. kReply: there was one.
ReplyScanner::Outcome ReplyScanner::scan_one(std::string_view input) {
  const std::size_t end = input.find(kLineEnd, std::max(position_, searched_));
  if (end == std::string_view::npos) {
    searched_ = input.empty() ? 0 : input.size() - 1;
    return input.size() - position_ > kMostLineBytes ? Outcome::kError : Outcome::kIncomplete;
  }
  const std::string_view line = input.substr(position_, end - position_);
  if (line.empty()) return Outcome::kError;
  position_ = end + kLineEnd.size();
  if (position_ > kMostReplyBytes) return Outcome::kError;
  const std::string_view rest = line.substr(1);
  switch (line.front()) {
    case '$':
    case '=':
    case '!': {
      if (rest == "-1") break;
      const auto size = parse_number<std::size_t>(rest);
      if (!size || *size > kMostReplyBytes - position_) return Outcome::kError;
      bulk_ = *size + kLineEnd.size();
      return Outcome::kReply;
    }
    case '*':
    case '~':
    case '>':
      return take_aggregate(rest, 1);
    case '%':
      return take_aggregate(rest, 2);
    case ':':
      if (!parse_number<std::int64_t>(rest)) return Outcome::kError;
      break;
    case '+':
    case '-':
    case ',':
    case '(':
    case '#':
    case '_':
      break;
    default:
      return Outcome::kError;
  }
  take_element();
  return Outcome::kReply;
}

ReplyScanner::Outcome ReplyScanner::take_aggregate(std::string_view count, std::uint64_t each) {
  const auto elements = count == "-1" ? 0 : parse_number<std::uint64_t>(count);
  if (!elements || *elements > kMostElements || missing_.size() == kMostDepth) {
    return Outcome::kError;
  }
  elements_ += *elements * each;
  if (elements_ > kMostElements) return Outcome::kError;
  if (*elements == 0) {
    take_element();
  } else {
    missing_.push_back(*elements * each);
  }
  return Outcome::kReply;
}

/// The element that was looked for is there, and with it perhaps the aggregates that it ends.
void ReplyScanner::take_element() noexcept {
  while (!missing_.empty() && --missing_.back() == 0) missing_.pop_back();
}

Reply read_reply(std::string_view bytes) {
  return Reader(bytes).read();
}

}  // namespace engram
