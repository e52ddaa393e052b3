// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

/// Begins the journal of `target`, which has none, with the frames `first` to `last` of `source`,
/// which are on disk: as many more as there are may be copied, too. `source` may be written
/// meanwhile. `last` == `first` - 1: there are none to copy. Errors: kNoSpace, kUnavailable, kIo;
/// kDataLoss if `source` cannot be read so far.
Status copy_journal(const StoreFiles& source, Lsn first, Lsn last, const StoreFiles& target);

}  // namespace engram
