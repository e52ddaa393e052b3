// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/result.h"

namespace engram {

/// What refuses a write while the journal cannot keep it, because of `why`: kNotWritable, with a
/// sentence that says until when.
Error not_writable(const Error& why);

}  // namespace engram
