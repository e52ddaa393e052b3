// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/reply.h"

#include <utility>

#include "core/text.h"

namespace engram {
namespace {

constexpr int kMostReplyDepth = 8;
constexpr std::size_t kMostHeaderLineBytes = 64UL * 1024;
constexpr std::size_t kMostTextBytes = 1UL << 30;
constexpr std::size_t kMostItems = 1UL << 28;

tl::unexpected<Error> no_reply() {
  return fail(ErrorCode::kDataLoss, "what answered does not speak RESP3 as engram does");
}

std::string without_prefix(std::string_view error) {
  if (error.starts_with("ERR ")) error.remove_prefix(4);
  return std::string(error);
}

}  // namespace

const Reply* Reply::find(std::string_view name) const noexcept {
  if (kind != Kind::kMap) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].text == name) return &items[i + 1];
  }
  return nullptr;
}

Result<Reply> ReplyReader::read() {
  auto reply = read_one(0);
  if (read_ == bytes_.size()) {
    bytes_.clear();
    read_ = 0;
  } else if (read_ > bytes_.size() / 2) {
    bytes_.erase(0, read_);
    read_ = 0;
  }
  return reply;
}

Status ReplyReader::need(std::size_t bytes) {
  while (bytes_.size() - read_ < bytes) ENGRAM_TRY(refill_(bytes_));
  return {};
}

/// The view is valid until more is needed.
Result<std::string_view> ReplyReader::read_line() {
  for (std::size_t searched = 0;;) {
    const std::size_t end = bytes_.find("\r\n", read_ + searched);
    if (end != std::string::npos) {
      const auto line = std::string_view(bytes_).substr(read_, end - read_);
      read_ = end + 2;
      return line;
    }
    const std::size_t unread = bytes_.size() - read_;
    if (unread > kMostHeaderLineBytes) return no_reply();
    searched = unread == 0 ? 0 : unread - 1;
    ENGRAM_TRY(need(unread + 1));
  }
}

Status ReplyReader::read_text(std::string_view header, Reply& reply) {
  if (header == "-1") return {};
  const auto size = parse_number<std::size_t>(header);
  if (!size || *size > kMostTextBytes) return no_reply();
  ENGRAM_TRY(need(*size + 2));
  reply.kind = Reply::Kind::kText;
  reply.text = bytes_.substr(read_, *size);
  read_ += *size + 2;
  return {};
}

Status ReplyReader::read_items(std::string_view header, std::size_t each, int depth, Reply& reply) {
  if (header == "-1") return {};
  const auto count = parse_number<std::size_t>(header);
  if (!count || *count > kMostItems || depth == kMostReplyDepth) return no_reply();
  reply.kind = each == 2 ? Reply::Kind::kMap : Reply::Kind::kArray;
  for (std::size_t i = 0; i < *count * each; ++i) {
    auto item = read_one(depth + 1);
    if (!item) return tl::unexpected(std::move(item.error()));
    reply.items.push_back(std::move(*item));
  }
  return {};
}

Result<Reply> ReplyReader::read_one(int depth) {
  const auto line = read_line();
  if (!line) return tl::unexpected(line.error());
  if (line->empty()) return no_reply();
  const char type = line->front();
  const std::string_view rest = line->substr(1);
  Reply reply;
  switch (type) {
    case '+':
      reply.kind = Reply::Kind::kText;
      reply.text = rest;
      return reply;
    case '-':
      reply.kind = Reply::Kind::kError;
      reply.text = without_prefix(rest);
      return reply;
    case ',':
      reply.kind = Reply::Kind::kReal;
      reply.text = rest;
      return reply;
    case '_':
      return reply;
    case '#':
      reply.kind = Reply::Kind::kBoolean;
      reply.integer = rest == "t" ? 1 : 0;
      return reply;
    case ':': {
      const auto number = parse_number<std::int64_t>(rest);
      if (!number) return no_reply();
      reply.kind = Reply::Kind::kInteger;
      reply.integer = *number;
      return reply;
    }
    case '$':
      ENGRAM_TRY(read_text(rest, reply));
      return reply;
    case '=':  // with its kind in front: txt:
      ENGRAM_TRY(read_text(rest, reply));
      if (reply.text.size() >= 4) reply.text.erase(0, 4);
      return reply;
    case '*':
    case '~':
      ENGRAM_TRY(read_items(rest, 1, depth, reply));
      return reply;
    case '%':
      ENGRAM_TRY(read_items(rest, 2, depth, reply));
      return reply;
    default:
      return no_reply();
  }
}

}  // namespace engram
