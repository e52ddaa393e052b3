// SPDX-License-Identifier: Apache-2.0
// Traces of strength as files have them (FORMAT.md).
#pragma once

#include <string>

#include "core/trace.h"
#include "server/durability/little_endian.h"

namespace engram {

void put_trace(std::string& out, const Trace& trace);

/// Any trace, or fields.ok() is false; check_trace() says whether there can be such a one.
Trace read_trace(FieldReader& fields);

}  // namespace engram
