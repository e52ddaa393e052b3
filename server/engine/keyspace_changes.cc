// SPDX-License-Identifier: Apache-2.0
#include "server/engine/keyspace_changes.h"

#include <string>
#include <variant>

#include "server/engine/keyspace.h"

namespace engram {

void repeat(Keyspace& keyspace, const SetString& change) {
  keyspace.set(change.key, std::string(change.value));
  if (change.expires_ms != kNeverExpires) keyspace.expire_at(change.key, change.expires_ms);
}

void repeat(Keyspace& keyspace, const AppendString& change) {
  const Value* const value = keyspace.peek(change.key);
  // The snapshot knows what came of the key later; then the journal says so too, further on.
  if (value != nullptr && !std::holds_alternative<std::string>(*value)) return;
  keyspace.put_suffix(change.key, change.offset, change.suffix);
}

void repeat(Keyspace& keyspace, const EraseKey& change) {
  keyspace.erase(change.key);
}

void repeat(Keyspace& keyspace, const SetExpiry& change) {
  if (change.expires_ms == kNeverExpires) {
    keyspace.persist(change.key);
  } else {
    keyspace.expire_at(change.key, change.expires_ms);
  }
}

void repeat(Keyspace& keyspace, const ClearKeys&) {
  keyspace.clear();
}

}  // namespace engram
