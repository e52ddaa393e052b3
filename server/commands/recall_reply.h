// SPDX-License-Identifier: Apache-2.0
// The reply of VRECALL.
#pragma once

#include "server/requests/recall.h"
#include "server/resp/reply_writer.h"

namespace engram {

/// with_trace: all energies, or else those of the cue and of the state.
void write_recall(ReplyWriter& writer, const RecallAnswer& answer, bool with_trace);

}  // namespace engram
