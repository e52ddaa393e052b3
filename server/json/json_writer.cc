// SPDX-License-Identifier: Apache-2.0
#include "server/json/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "core/utf8.h"

namespace engram {
namespace {

void append_escape(std::string& out, unsigned char control) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[control >> 4U];
  out += kDigits[control & 15U];
}

template <class Number>
void append_number(std::string& out, Number value) {
  std::array<char, 40> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), end);
  // Readers take -0 for an integer, which has no sign there.
  if (std::string_view(text.data(), end) == "-0") out += ".0";
}

}  // namespace

void JsonWriter::begin_value() {
  if (follows_) out_ += ',';
  follows_ = true;
}

void JsonWriter::open(char bracket) {
  begin_value();
  out_ += bracket;
  follows_ = false;
}

void JsonWriter::close(char bracket) {
  out_ += bracket;
  follows_ = true;
}

void JsonWriter::word(std::string_view text) {
  begin_value();
  out_ += text;
}

JsonWriter& JsonWriter::name(std::string_view text) {
  begin_value();
  quoted(text);
  out_ += ':';
  follows_ = false;
  return *this;
}

void JsonWriter::integer(std::int64_t value) {
  begin_value();
  append_number(out_, value);
}

void JsonWriter::count(std::uint64_t value) {
  begin_value();
  append_number(out_, value);
}

void JsonWriter::number(float value) {
  if (!std::isfinite(value)) return null();
  begin_value();
  append_number(out_, value);
}

void JsonWriter::number(double value) {
  if (!std::isfinite(value)) return null();
  begin_value();
  append_number(out_, value);
}

void JsonWriter::numbers(std::span<const float> values) {
  begin_array();
  for (const float value : values) number(value);
  end_array();
}

void JsonWriter::string(std::string_view text) {
  begin_value();
  quoted(text);
}

void JsonWriter::quoted(std::string_view text) {
  out_ += '"';
  std::size_t plain = 0;  // what needs no escape and was not appended yet begins here
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t bytes = utf8_bytes(text.substr(i));
    if (bytes != 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
      i += bytes;
      continue;
    }
    out_ += text.substr(plain, i - plain);
    if (bytes == 0) {
      out_ += "\xEF\xBF\xBD";
    } else if (byte < 0x20) {
      append_escape(out_, byte);
    } else {
      out_ += '\\';
      out_ += text[i];
    }
    plain = ++i;
  }
  out_ += text.substr(plain);
  out_ += '"';
}

}  // namespace engram
