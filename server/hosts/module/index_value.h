// SPDX-License-Identifier: Apache-2.0
// What a key holds: a collection of the engine; and how it becomes a stream of bytes and comes
// back.
#pragma once

#include <memory>

#include "core/result.h"
#include "server/durability/change.h"
#include "server/engine/collection.h"
#include "server/hosts/module/host.h"
#include "server/hosts/module/value_stream.h"

namespace engram::host {

/// Of the native type.
struct IndexValue {
  std::shared_ptr<Collection> collection;
};

/// A new, empty collection as a change says; its id is its own. Errors: those of create_recorded().
Result<std::shared_ptr<Collection>> make_collection(Host& host, NewCollection change);

/// Gives the collection to `take` in chunks. In the child of a fork, too. Errors:
/// kResourceExhausted.
Status write_value(Host& host, Collection& collection, const ValueWriter::TakeChunk& take);

/// The collection that was written. Errors: kDataLoss, kUnsupported, kInvalidArgument,
/// kResourceExhausted.
Result<std::shared_ptr<Collection>> read_value(Host& host, ValueReader& reader);

}  // namespace engram::host
