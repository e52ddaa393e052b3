// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/result.h"
#include "server/engine/store.h"
#include "server/requests/responder.h"

namespace engram {

/// Begins a snapshot of all data; answers when it is in its place. Errors, at once, and then the
/// responder is not called: kUnsupported if the data is in memory only; those of Persistence::save.
Status start_snapshot(Store& store, Responder<void> responder);

}  // namespace engram
