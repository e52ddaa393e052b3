// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/result.h"
#include "server/engine/store.h"
#include "server/requests/responder.h"

namespace engram {

/// Begins a snapshot of all data; answers when it is in its place, or, unless `directory` is empty,
/// when there is a copy of the store. Errors, at once, and then the responder is not called:
/// kUnsupported if the data is in memory only; those of Persistence::save.
Status start_snapshot(Store& store, Responder<void> responder, std::string directory = {});

}  // namespace engram
