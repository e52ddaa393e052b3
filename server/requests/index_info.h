// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "core/recall.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

struct InfoRequest {
  IndexRef index;
};

/// Answers, on the loop, what there is to know of an index: first the names that Redis's vector
/// sets have, in their order (0 where this index has no such thing), then what engram knows, how
/// the index recalls, the primitive's options, and the primitive's own facts. No name comes twice.
void start(Store& store, InfoRequest request, Responder<std::vector<Fact>> responder);

struct MemoryRequest {
  IndexRef index;
};

/// Answers, on the loop, the bytes that an index takes, its vectors included.
void start(Store& store, MemoryRequest request, Responder<std::size_t> responder);

}  // namespace engram
