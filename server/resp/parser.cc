// SPDX-License-Identifier: Apache-2.0
#include "server/resp/parser.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"
#include "server/resp/inline_request.h"
#include "server/resp/integer.h"

namespace engram {
namespace {

// A client that once sent a huge request does not keep its index of arguments.
constexpr std::size_t kKeptArguments = 1024;
// Of a client that has not logged in yet.
constexpr std::int64_t kStrangersArguments = 10;
constexpr std::int64_t kStrangersBytes = 16384;

}  // namespace

RequestParser::Outcome RequestParser::parse(std::string_view input) {
  input.remove_prefix(skipped_);
  while (state_ == State::kStart) {
    if (position_ == input.size()) return Outcome::kIncomplete;
    const std::size_t skipped = skipped_;
    const Outcome outcome = parse_start(input);
    if (outcome != Outcome::kRequest) return outcome;
    input.remove_prefix(skipped_ - skipped);
  }
  if (state_ == State::kArguments) {
    if (const Outcome outcome = parse_arguments(input); outcome != Outcome::kRequest) {
      return outcome;
    }
  }
  return complete(input);
}

/// Reads the first line: a whole inline request, or the header of an array.
RequestParser::Outcome RequestParser::parse_start(std::string_view input) {
  if (input.front() != '*') return parse_inline(input);
  std::string_view line;
  if (const Outcome outcome = parse_header(input, "too big mbulk count string", line);
      outcome != Outcome::kRequest) {
    return outcome;
  }
  const auto count = parse_integer(line.substr(1));
  if (!count || (*count > 0 && std::cmp_greater(*count, limits_.max_arguments))) {
    return reject("invalid multibulk length");
  }
  if (!limits_.authenticated && *count > kStrangersArguments) {
    return reject("unauthenticated multibulk length");
  }
  if (*count <= 0) {
    skip(position_);
    return Outcome::kRequest;
  }
  expected_ = static_cast<std::size_t>(*count);
  state_ = State::kArguments;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::parse_inline(std::string_view input) {
  const std::size_t end = input.find('\n', searched_);
  if (end == std::string_view::npos) {
    searched_ = input.size();
    return input.size() > limits_.max_line_bytes ? reject("too big inline request")
                                                 : Outcome::kIncomplete;
  }
  if (end > limits_.max_line_bytes) return reject("too big inline request");
  std::string_view line = input.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  arguments_.clear();
  if (!split_inline(line, unescaped_, arguments_)) return reject("unbalanced quotes in request");
  if (arguments_.empty()) {
    skip(end + 1);
    return Outcome::kRequest;
  }
  position_ = end + 1;
  state_ = State::kComplete;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::parse_arguments(std::string_view input) {
  while (ranges_.size() < expected_) {
    if (const Outcome outcome = parse_bulk(input); outcome != Outcome::kRequest) return outcome;
  }
  state_ = State::kComplete;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::parse_bulk(std::string_view input) {
  if (!in_bulk_) {
    std::string_view line;
    if (const Outcome outcome = parse_header(input, "too big bulk count string", line);
        outcome != Outcome::kRequest) {
      return outcome;
    }
    if (!line.starts_with('$')) {
      return reject("expected '$', got '" + std::string(1, line.empty() ? '\r' : line[0]) + "'");
    }
    const auto size = parse_integer(line.substr(1));
    if (!size || *size < 0 || std::cmp_greater(*size, limits_.max_bulk_bytes)) {
      return reject("invalid bulk length");
    }
    if (!limits_.authenticated && *size > kStrangersBytes) {
      return reject("unauthenticated bulk length");
    }
    bulk_size_ = static_cast<std::size_t>(*size);
    if (bulk_size_ > limits_.max_request_bytes - std::min(position_, limits_.max_request_bytes)) {
      return reject("too big request, the most is " + std::to_string(limits_.max_request_bytes) +
                    " bytes");
    }
    in_bulk_ = true;
  }
  const std::size_t end = position_ + bulk_size_ + 2;  // the two bytes are not looked at
  if (input.size() < end) {
    missing_ = end - input.size();
    return Outcome::kIncomplete;
  }
  missing_ = 0;
  ranges_.push_back({position_, bulk_size_});
  position_ = searched_ = end;
  in_bulk_ = false;
  return Outcome::kRequest;
}

/// Takes one line that ends with CR and any byte, from position_ on, and moves behind it.
RequestParser::Outcome RequestParser::parse_header(std::string_view input,
                                                   std::string_view too_long,
                                                   std::string_view& line) {
  const std::size_t end = input.find('\r', searched_);
  const std::size_t length = (end == std::string_view::npos ? input.size() : end) - position_;
  if (length > limits_.max_line_bytes) return reject(too_long);
  if (end == std::string_view::npos || end + 1 >= input.size()) {
    searched_ = end == std::string_view::npos ? input.size() : end;
    return Outcome::kIncomplete;
  }
  line = input.substr(position_, length);
  position_ = searched_ = end + 2;
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::complete(std::string_view input) {
  if (ranges_.empty()) return Outcome::kRequest;  // inline: the arguments lie in unescaped_
  arguments_.clear();
  for (const Range& range : ranges_) {
    arguments_.emplace_back(input.data() + range.offset, range.size);
  }
  return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::reject(std::string_view what) {
  error_ = "ERR Protocol error: ";
  error_ += what;
  return Outcome::kError;
}

/// Passes over an empty request.
void RequestParser::skip(std::size_t bytes) {
  skipped_ += bytes;
  position_ = searched_ = 0;
}

void RequestParser::release_memory() {
  if (state_ != State::kStart) return;
  // Assigning something empty would keep the memory.
  std::vector<std::string_view>().swap(arguments_);
  std::vector<Range>().swap(ranges_);
  std::string().swap(unescaped_);
}

std::size_t RequestParser::consume() {
  std::size_t done = std::exchange(skipped_, 0);
  if (state_ != State::kComplete) return done;
  done += std::exchange(position_, 0);
  searched_ = 0;
  state_ = State::kStart;
  arguments_.clear();
  ranges_.clear();
  if (arguments_.capacity() > kKeptArguments || ranges_.capacity() > kKeptArguments) {
    arguments_.shrink_to_fit();
    ranges_.shrink_to_fit();
  }
  return done;
}

}  // namespace engram
