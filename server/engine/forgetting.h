// SPDX-License-Identifier: Apache-2.0
// Erasing weak items. The rule: they are sought beside everything else, and erased as a transaction
// would: in slices of the loop, between which reads pass and other writes wait, as one frame of the
// journal, so that a crash leaves all or none of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/result.h"
#include "server/durability/store_files.h"
#include "server/engine/collection.h"
#include "server/engine/store.h"
#include "server/engine/weak_items.h"

namespace engram {

/// Erases those of `items` that are no stronger at `at_ms` than they were found, and calls `done`
/// with them when that has been carried out, and with the LSN that an answer waits for, or 0. The
/// caller has not entered the gate. `is_step`: of the transaction that is open. Threads: the event
/// loop's only.
void erase_weak_items(Store& store, std::shared_ptr<Collection> collection,
                      std::vector<WeakItem> items, std::int64_t at_ms, bool is_step,
                      std::function<void(std::vector<WeakItem> erased, Lsn lsn)> done);

}  // namespace engram
