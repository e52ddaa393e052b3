// SPDX-License-Identifier: Apache-2.0
// Repeats recorded changes to a keyspace, of which a snapshot may know what came later.
#pragma once

#include "server/durability/change.h"

namespace engram {

class Keyspace;

void repeat(Keyspace& keyspace, const SetString& change);
void repeat(Keyspace& keyspace, const AppendString& change);
void repeat(Keyspace& keyspace, const EraseKey& change);
void repeat(Keyspace& keyspace, const SetExpiry& change);
void repeat(Keyspace& keyspace, const ClearKeys& change);
void repeat(Keyspace& keyspace, const OverwriteString& change);
void repeat(Keyspace& keyspace, const MoveCollection& change);

}  // namespace engram
