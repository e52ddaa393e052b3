// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/histogram.h"

#include <algorithm>
#include <cmath>
#include <new>

namespace engram {

Histogram::~Histogram() {
  for (const auto& row : rows_) delete row.load(std::memory_order_relaxed);
}

/// Several threads may meet a power of two at once; the row of the first is everybody's.
Histogram::Row* Histogram::add_row(std::size_t number) noexcept {
  Row* const row = new (std::nothrow) Row{};
  if (row == nullptr) return nullptr;
  Row* former = nullptr;
  if (rows_[number].compare_exchange_strong(former, row, std::memory_order_acq_rel)) return row;
  delete row;
  return former;
}

std::uint64_t Histogram::count() const noexcept {
  std::uint64_t all = 0;
  for_each_bucket([&all](std::size_t, std::uint64_t count) { all += count; });
  return all;
}

double Histogram::quantile(double share) const noexcept {
  const std::uint64_t all = count();
  if (all == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(all)));
  const std::uint64_t wanted = std::clamp<std::uint64_t>(rank, 1, all);
  std::uint64_t seen = 0;
  double value = 0;
  for_each_bucket([&](std::size_t bucket, std::uint64_t count) {
    if (seen >= wanted) return;
    seen += count;
    // A bucket of one value is that value.
    value = static_cast<double>(begin_of(bucket) + end_of(bucket) - 1) / 2;
  });
  return value;
}

void Histogram::add(const Histogram& other) noexcept {
  other.for_each_bucket([this](std::size_t bucket, std::uint64_t count) {
    if (auto* const here = find_count(begin_of(bucket))) {
      here->fetch_add(count, std::memory_order_relaxed);
    }
  });
  sum_.fetch_add(other.sum(), std::memory_order_relaxed);
}

void Histogram::reset() noexcept {
  for (const auto& row : rows_) {
    Row* const counts = row.load(std::memory_order_acquire);
    if (counts == nullptr) continue;
    for (auto& count : *counts) count.store(0, std::memory_order_relaxed);
  }
  sum_.store(0, std::memory_order_relaxed);
}

std::size_t Histogram::memory_bytes() const noexcept {
  const auto used = std::count_if(rows_.begin(), rows_.end(), [](const auto& row) {
    return row.load(std::memory_order_relaxed) != nullptr;
  });
  return sizeof(*this) + static_cast<std::size_t>(used) * sizeof(Row);
}

LazyHistogram::~LazyHistogram() {
  release();
}

void LazyHistogram::release() noexcept {
  delete histogram_.exchange(nullptr, std::memory_order_acq_rel);
}

Histogram* LazyHistogram::make() noexcept {
  auto* const made = new (std::nothrow) Histogram;
  if (made == nullptr) return nullptr;
  Histogram* former = nullptr;
  if (histogram_.compare_exchange_strong(former, made, std::memory_order_acq_rel)) return made;
  delete made;
  return former;
}

}  // namespace engram
