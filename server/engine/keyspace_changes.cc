// SPDX-License-Identifier: Apache-2.0
#include "server/engine/keyspace_changes.h"

#include <string>
#include <variant>

#include "server/engine/collection.h"
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

void repeat(Keyspace& keyspace, const OverwriteString& change) {
  const Value* const value = keyspace.peek(change.key);
  // As above: a string that is missing or too short is what came of the key later.
  const auto* const text = value == nullptr ? nullptr : std::get_if<std::string>(value);
  if (text == nullptr || change.offset > text->size() ||
      change.bytes.size() > text->size() - change.offset) {
    return;
  }
  keyspace.write_range(change.key, change.offset, change.bytes);
}

void repeat(Keyspace& keyspace, const MoveCollection& change) {
  for (const std::string_view name : keyspace.collection_names()) {
    const Value& value = *keyspace.peek(name);  // nothing expires while changes are repeated
    if (std::get<std::shared_ptr<Collection>>(value)->id() != change.id) continue;
    if (name != change.key) keyspace.rename(std::string(name), change.key);
    if (change.expires_ms == kNeverExpires) {
      keyspace.persist(change.key);
    } else {
      keyspace.expire_at(change.key, change.expires_ms);
    }
    return;
  }
}

}  // namespace engram
