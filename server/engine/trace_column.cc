// SPDX-License-Identifier: Apache-2.0
#include "server/engine/trace_column.h"

#include <bit>
#include <cstddef>
#include <thread>

#include "core/prefetch.h"

namespace engram {
namespace {

// The words of a row. Those of kUses end with the time and the gain of each.
constexpr std::size_t kVersion = 0;
constexpr std::size_t kKind = 1;  // and the number of uses, in the bits from the eighth on
constexpr std::size_t kAmount = 2;
constexpr std::size_t kMs = 3;
constexpr std::size_t kHalfLife = 4;
constexpr std::size_t kUses = 4;

}  // namespace

std::size_t TraceColumn::word_count(const Decay& decay) noexcept {
  switch (decay.policy) {
    case DecayPolicy::kPower:
      return kUses + 2 * Trace::kRecent;
    case DecayPolicy::kEbb:
      return kMs + 1;
    default:
      return kHalfLife + 1;
  }
}

// A reader that meets a word of a store that is under way or came later also meets the version that
// this began with: the word was released, and is acquired.
void TraceColumn::store(Slot slot, const Trace& trace) noexcept {
  Word* const words = row(slot);
  const std::uint64_t version = words[kVersion].load(std::memory_order_relaxed);
  const auto put = [&](std::size_t i, std::uint64_t value) {
    words[i].store(value, std::memory_order_release);
  };
  words[kVersion].store(version + 1, std::memory_order_relaxed);
  put(kKind, static_cast<std::uint64_t>(trace.kind) | std::uint64_t{trace.recent_count} << 8);
  put(kAmount, std::bit_cast<std::uint64_t>(trace.amount));
  put(kMs, static_cast<std::uint64_t>(trace.ms));
  if (trace.kind == TraceKind::kOwnHalfLife) {
    put(kHalfLife, static_cast<std::uint64_t>(trace.half_life_ms));
  }
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    put(kUses + 2 * i, static_cast<std::uint64_t>(trace.recent[i].ms));
    put(kUses + 2 * i + 1, std::bit_cast<std::uint64_t>(trace.recent[i].gain));
  }
  put(kVersion, version + 2);
}

void TraceColumn::prefetch(Slot slot) const noexcept {
  const std::byte* const begin = rows_.row(slot);
  for (std::size_t i = 0; i < rows_.row_bytes(); i += 64) engram::prefetch(begin + i);
}

Trace TraceColumn::load(Slot slot) const noexcept {
  const Word* const words = row(slot);
  for (;;) {
    const std::uint64_t version = words[kVersion].load(std::memory_order_acquire);
    if (version % 2 == 0) {
      const Trace trace = read(words);
      if (words[kVersion].load(std::memory_order_relaxed) == version) return trace;
    }
    std::this_thread::yield();
  }
}

/// Perhaps of two traces, but of none that has not these words.
Trace TraceColumn::read(const Word* row) noexcept {
  const auto get = [row](std::size_t i) { return row[i].load(std::memory_order_acquire); };
  Trace trace;
  const std::uint64_t kind = get(kKind);
  trace.kind = static_cast<TraceKind>(kind & 0xff);
  trace.recent_count = static_cast<std::uint32_t>(kind >> 8);
  trace.amount = std::bit_cast<double>(get(kAmount));
  trace.ms = static_cast<std::int64_t>(get(kMs));
  if (trace.kind == TraceKind::kOwnHalfLife) {
    trace.half_life_ms = static_cast<std::int64_t>(get(kHalfLife));
  }
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    trace.recent[i].ms = static_cast<std::int64_t>(get(kUses + 2 * i));
    trace.recent[i].gain = std::bit_cast<double>(get(kUses + 2 * i + 1));
  }
  return trace;
}

}  // namespace engram
