// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/hedges.h"

#include <algorithm>
#include <utility>

namespace engram::router {
namespace {

constexpr double kShare = 0.05;
constexpr double kPerMs = 0.02;     // few reads that are stuck bring no others
constexpr double kMostAtOnce = 16;  // however many reads went before
constexpr std::size_t kReadsBetween = 32;

}  // namespace

void Hedges::begin() noexcept {
  allowance_ = std::min(allowance_ + kShare, kMostAtOnce);
}

void Hedges::end(std::int64_t took_us) {
  took_us_[reads_++ % kReads] = took_us;
  if (reads_ % kReadsBetween != 0) return;
  std::array<std::int64_t, kReads> sorted = took_us_;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(reads_, kReads));
  const auto at = sorted.begin() + (end - sorted.begin()) * 19 / 20;
  std::nth_element(sorted.begin(), at, end);
  delay_us_ = *at;
}

bool Hedges::take(std::int64_t now_ms) noexcept {
  const std::int64_t passed_ms = now_ms - std::exchange(allowed_until_ms_, now_ms);
  allowance_ = std::min(allowance_ + kPerMs * static_cast<double>(passed_ms), kMostAtOnce);
  if (allowance_ < 1) return false;
  allowance_ -= 1;
  return true;
}

}  // namespace engram::router
