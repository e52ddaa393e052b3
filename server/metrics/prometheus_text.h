// SPDX-License-Identifier: Apache-2.0
// The text format of Prometheus, version 0.0.4.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/metrics/histogram.h"

namespace engram {

/// A bound of a histogram's buckets: in seconds, and the first bucket of ours that is beyond.
struct SecondsBound {
  std::string_view text;
  std::size_t end;

  constexpr SecondsBound(std::string_view seconds, std::uint64_t ns) noexcept
      : text(seconds), end(Histogram::bucket_of(ns + 1)) {}
};

/// `name="value"` with what the format wants escaped, after a comma if `labels` has some already.
/// The format is UTF-8: a byte that is none becomes a backslash, x and two digits.
void add_label(std::string& labels, std::string_view name, std::string_view value);

/// Writes families of samples, one after the other.
class PrometheusText {
 public:
  /// Begins a family. `type`: counter, gauge or histogram.
  void family(std::string_view name, std::string_view type, std::string_view help);

  /// Samples of the family; `labels` are those of add_label().
  void sample(std::string_view labels, std::uint64_t value);
  void sample(std::string_view labels, double value);
  /// Of durations in nanoseconds, told in seconds. A value less than 1.6 % below a bound may be
  /// counted beyond it.
  void histogram(std::string_view labels, const Histogram& durations,
                 std::span<const SecondsBound> bounds);

  void expect(std::size_t bytes) { text_.reserve(bytes); }
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  void begin_sample(std::string_view suffix, std::string_view labels);
  void bucket(std::string_view labels, std::string_view bound, std::uint64_t count);
  void number(std::uint64_t value);
  void number(double value);

  std::string name_;  // of the family
  std::string text_;
};

}  // namespace engram
