// SPDX-License-Identifier: Apache-2.0
#include "server/resp/reply_writer.h"

#include <charconv>
#include <cmath>

namespace engram {
namespace {

constexpr std::string_view kCrlf = "\r\n";

/// Shortest decimal that reads back to the same value. Redis writes infinities without a sign of
/// "+" and so do its clients' parsers expect them.
template <class T>
std::string_view format_number(T value, char (&buffer)[64]) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, static_cast<std::size_t>(result.ptr - buffer)};
}

}  // namespace

void ReplyWriter::header(char type, std::int64_t value) {
  char line[32];
  line[0] = type;
  char* const end = std::to_chars(line + 1, line + sizeof line - 2, value).ptr;
  end[0] = '\r';
  end[1] = '\n';
  out_.append(line, static_cast<std::size_t>(end + 2 - line));
}

void ReplyWriter::simple(std::string_view text) {
  out_.append("+").append(text).append(kCrlf);
}

void ReplyWriter::error(std::string_view line) {
  out_.push_back('-');
  const std::size_t start = out_.size();
  out_.append(line);
  for (std::size_t i = start; i < out_.size(); ++i) {
    if (out_[i] == '\r' || out_[i] == '\n') out_[i] = ' ';
  }
  out_.append(kCrlf);
}

void ReplyWriter::integer(std::int64_t value) {
  header(':', value);
}

void ReplyWriter::bulk(std::string_view bytes) {
  header('$', static_cast<std::int64_t>(bytes.size()));
  out_.append(bytes).append(kCrlf);
}

void ReplyWriter::null() {
  out_.append(version_ == RespVersion::kResp3 ? "_\r\n" : "$-1\r\n");
}

void ReplyWriter::null_array() {
  out_.append(version_ == RespVersion::kResp3 ? "_\r\n" : "*-1\r\n");
}

void ReplyWriter::number(float value) {
  char buffer[64];
  decimal(format_number(value, buffer));
}

void ReplyWriter::number(double value) {
  char buffer[64];
  decimal(format_number(value, buffer));
}

void ReplyWriter::decimal(std::string_view digits) {
  if (version_ == RespVersion::kResp2) return bulk(digits);
  out_.append(",").append(digits).append(kCrlf);
}

void ReplyWriter::boolean(bool value) {
  if (version_ == RespVersion::kResp2) return integer(value ? 1 : 0);
  out_.append(value ? "#t\r\n" : "#f\r\n");
}

void ReplyWriter::array(std::size_t elements) {
  header('*', static_cast<std::int64_t>(elements));
}

void ReplyWriter::map(std::size_t pairs) {
  if (version_ == RespVersion::kResp2) return array(2 * pairs);
  header('%', static_cast<std::int64_t>(pairs));
}

void ReplyWriter::set(std::size_t elements) {
  header(version_ == RespVersion::kResp2 ? '*' : '~', static_cast<std::int64_t>(elements));
}

void ReplyWriter::verbatim(std::string_view text) {
  if (version_ == RespVersion::kResp2) return bulk(text);
  constexpr std::string_view kFormat = "txt:";
  header('=', static_cast<std::int64_t>(kFormat.size() + text.size()));
  out_.append(kFormat).append(text).append(kCrlf);
}

}  // namespace engram
