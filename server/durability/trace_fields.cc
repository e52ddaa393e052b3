// SPDX-License-Identifier: Apache-2.0
#include "server/durability/trace_fields.h"

#include <cstddef>
#include <cstdint>
#include <limits>

namespace engram {
namespace {

void read_uses(FieldReader& fields, Trace& trace) {
  trace.recent_count = fields.number<std::uint8_t>();
  if (trace.recent_count > Trace::kRecent) {
    fields.take(std::numeric_limits<std::size_t>::max());  // no file has so many
    return;
  }
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    trace.recent[i].ms = fields.number<std::int64_t>();
    trace.recent[i].gain = fields.number<double>();
  }
}

}  // namespace

void put_trace(std::string& out, const Trace& trace) {
  put_number(out, trace.kind);
  put_number(out, trace.amount);
  if (trace.kind == TraceKind::kLevel || trace.kind == TraceKind::kPinned) return;
  put_number(out, trace.ms);
  if (trace.kind == TraceKind::kOwnHalfLife) put_number(out, trace.half_life_ms);
  if (trace.kind != TraceKind::kUses) return;
  put_number(out, static_cast<std::uint8_t>(trace.recent_count));
  for (std::size_t i = 0; i < trace.recent_count; ++i) {
    put_number(out, trace.recent[i].ms);
    put_number(out, trace.recent[i].gain);
  }
}

Trace read_trace(FieldReader& fields) {
  Trace trace;
  const auto kind = fields.number<std::uint8_t>();
  if (kind >= kTraceKinds) {
    fields.take(std::numeric_limits<std::size_t>::max());
    return trace;
  }
  trace.kind = static_cast<TraceKind>(kind);
  trace.amount = fields.number<double>();
  if (trace.kind == TraceKind::kLevel || trace.kind == TraceKind::kPinned) return trace;
  trace.ms = fields.number<std::int64_t>();
  if (trace.kind == TraceKind::kOwnHalfLife) trace.half_life_ms = fields.number<std::int64_t>();
  if (trace.kind == TraceKind::kUses) read_uses(fields, trace);
  return trace;
}

}  // namespace engram
