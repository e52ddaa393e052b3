// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/prometheus_text.h"

#include <array>
#include <charconv>
#include <cmath>

#include "core/utf8.h"

namespace engram {
namespace {

constexpr double kNsPerSecond = 1e9;

}  // namespace

void add_label(std::string& labels, std::string_view name, std::string_view value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  if (!labels.empty()) labels += ',';
  labels.append(name).append("=\"");
  while (!value.empty()) {
    const std::size_t size = utf8_bytes(value);
    const char c = value.front();
    if (size == 0) {
      const auto byte = static_cast<unsigned char>(c);
      labels.append("\\\\x").append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
    } else if (c == '\n') {
      labels += "\\n";
    } else if (c == '"' || c == '\\') {
      labels.append(1, '\\').append(1, c);
    } else {
      labels.append(value.substr(0, size));
    }
    value.remove_prefix(size == 0 ? 1 : size);
  }
  labels += '"';
}

void PrometheusText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help);
  text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void PrometheusText::begin_sample(std::string_view suffix, std::string_view labels) {
  text_.append(name_).append(suffix);
  if (!labels.empty()) text_.append("{").append(labels).append("}");
  text_ += ' ';
}

void PrometheusText::number(std::uint64_t value) {
  std::array<char, 24> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  text_.append(digits.data(), end);
  text_ += '\n';
}

void PrometheusText::number(double value) {
  if (std::isnan(value)) {
    text_ += "NaN\n";
  } else if (std::isinf(value)) {
    text_ += value > 0 ? "+Inf\n" : "-Inf\n";
  } else {
    std::array<char, 32> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    text_.append(digits.data(), end);
    text_ += '\n';
  }
}

void PrometheusText::sample(std::string_view labels, std::uint64_t value) {
  begin_sample({}, labels);
  number(value);
}

void PrometheusText::sample(std::string_view labels, double value) {
  begin_sample({}, labels);
  number(value);
}

void PrometheusText::bucket(std::string_view labels, std::string_view bound, std::uint64_t count) {
  text_.append(name_).append("_bucket{");
  if (!labels.empty()) text_.append(labels).append(",");
  text_.append("le=\"").append(bound).append("\"} ");
  number(count);
}

void PrometheusText::histogram(std::string_view labels, const Histogram& durations,
                               std::span<const SecondsBound> bounds) {
  std::uint64_t count = 0;
  std::size_t next = 0;  // of the bounds
  const auto sum = static_cast<double>(durations.sum());
  durations.for_each_bucket([&](std::size_t number, std::uint64_t more) {
    for (; next < bounds.size() && bounds[next].end <= number; ++next) {
      bucket(labels, bounds[next].text, count);
    }
    count += more;
  });
  for (; next < bounds.size(); ++next) bucket(labels, bounds[next].text, count);
  bucket(labels, "+Inf", count);
  begin_sample("_sum", labels);
  number(sum / kNsPerSecond);
  begin_sample("_count", labels);
  number(count);
}

}  // namespace engram
