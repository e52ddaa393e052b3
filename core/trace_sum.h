// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/decay.h"
#include "core/trace.h"

namespace engram {

/// Makes `trace` that of an item which was given what `other` was given, too: under static, exp and
/// power their strengths are added up.
///
/// Items that fade each in its own way have no such trace. Then the strength as of `ms` is the sum,
/// and what is longest kept decides: it is pinned if one of them is, else it has the longer
/// half-life.
void absorb(const Decay& decay, const Trace& other, std::int64_t ms, Trace& trace) noexcept;

}  // namespace engram
