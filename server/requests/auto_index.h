// SPDX-License-Identifier: Apache-2.0
// The end of an index that its first vector made (VectorSet::is_auto): it goes with its last.
#pragma once

#include <functional>
#include <string_view>

#include "server/durability/store_files.h"
#include "server/requests/index_ref.h"

namespace engram {

/// Whether the key holds such an index.
bool is_auto_index(Store& store, std::string_view name);

/// Removes such an index if it is deserted, then calls `done` with the LSN that an answer waits
/// for, or 0. `is_step`: for a step of the transaction that is open. On the loop.
void drop_if_deserted(Store& store, const IndexRef& index, bool is_step,
                      std::function<void(Lsn)> done);

}  // namespace engram
