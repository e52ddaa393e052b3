// SPDX-License-Identifier: Apache-2.0
#include "core/trace_sum.h"

#include <algorithm>

namespace engram {
namespace {

bool is_stability(const Trace& trace) noexcept {
  return trace.kind == TraceKind::kStability || trace.kind == TraceKind::kPinnedForGood;
}

/// Of items that do not fade alike.
void absorb_sum(const Decay& decay, const Trace& other, std::int64_t ms, Trace& trace) noexcept {
  const double sum = add_logs(log_strength(decay, trace, ms), log_strength(decay, other, ms));
  const auto half_life = [&](const Trace& of) {
    return of.kind == TraceKind::kOwnHalfLife ? of.half_life_ms : decay.half_life_ms;
  };
  const bool is_pinned = trace.is_pinned() || other.is_pinned();
  const std::int64_t longest = std::max(half_life(trace), half_life(other));
  trace = {.kind = is_pinned ? TraceKind::kPinned : TraceKind::kOwnHalfLife, .amount = sum};
  if (is_pinned) return;
  trace.ms = ms;
  trace.half_life_ms = longest;
}

}  // namespace

void absorb(const Decay& decay, const Trace& other, std::int64_t ms, Trace& trace) noexcept {
  if (is_stability(trace) && is_stability(other)) {
    trace.kind = std::max(trace.kind, other.kind);
    trace.amount += other.amount;
    trace.ms = std::max(trace.ms, other.ms);
  } else if (trace.kind == TraceKind::kLevel && other.kind == TraceKind::kLevel) {
    trace.amount = add_logs(trace.amount, other.amount);
  } else if (trace.kind == TraceKind::kUses && other.kind == TraceKind::kUses) {
    const std::int64_t first = std::min(trace.ms, other.ms);
    for (std::uint32_t i = 0; i < other.recent_count; ++i) {
      add_gain(decay, other.recent[i].gain, other.recent[i].ms, trace);
    }
    trace.amount += other.amount;
    trace.ms = std::min(first, trace.ms);
  } else {
    absorb_sum(decay, other, ms, trace);
  }
}

}  // namespace engram
