// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/lent_keys.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "server/hosts/module/data_type.h"
#include "server/hosts/module/index_value.h"
#include "server/runtime/log.h"

namespace engram::host {

LentKeys::~LentKeys() {
  for (Lent& lent : keys_) {
    if (lent.is_lent) host_.store().keyspace().take_back(lent.text);
    if (lent.key != nullptr) api.CloseKey(lent.key);
  }
}

/// Whatever else the server keeps there is no index: to the engine it is a string.
void LentKeys::lend(String* name, bool writes) {
  std::size_t size = 0;
  const char* const bytes = api.StringPtrLen(name, &size);
  Lent lent = {.name = name,
               .text = {bytes, size},
               .key = api.OpenKey(context_, name, writes ? kRead | kWrite : kRead)};
  const int kind = lent.key == nullptr ? kEmptyKey : api.KeyType(lent.key);
  Keyspace& keyspace = host_.store().keyspace();
  if (kind == kModuleKey && api.ModuleTypeGetType(lent.key) == index_type()) {
    lent.collection = static_cast<IndexValue*>(api.ModuleTypeGetValue(lent.key))->collection;
    keyspace.lend(lent.text, lent.collection);
  } else if (kind != kEmptyKey) {
    lent.is_foreign = true;
    keyspace.lend(lent.text, std::string());
  }
  keys_.push_back(std::move(lent));
}

void LentKeys::take_back() {
  for (Lent& lent : keys_) take_back(lent);
}

void LentKeys::take_back(Lent& lent) {
  const std::optional<Value> value = host_.store().keyspace().take_back(lent.text);
  lent.is_lent = false;
  if (lent.is_foreign || lent.key == nullptr) return;
  std::shared_ptr<Collection> now;
  if (value && std::holds_alternative<std::shared_ptr<Collection>>(*value)) {
    now = std::get<std::shared_ptr<Collection>>(*value);
  }
  if (now == lent.collection) return;
  lent.collection = nullptr;
  if (now == nullptr) {
    lent.fate = Fate::kDropped;
    api.DeleteKey(lent.key);
  } else if (set_index(lent.key, now)) {
    lent.fate = Fate::kMade;
    lent.collection = std::move(now);
  } else {
    log_error("the server does not take an index");
  }
}

void LentKeys::replicate(const std::vector<Effect>& effects, const char* event) {
  for (const Lent& lent : keys_) {
    if (!replicate(lent, effects)) continue;
    api.SignalModifiedKey(context_, lent.name);
    api.NotifyKeyspaceEvent(context_, kModuleEvent, event, lent.name);
  }
}

/// False: it has not changed.
bool LentKeys::replicate(const Lent& lent, const std::vector<Effect>& effects) {
  if (lent.fate == Fate::kDropped) {
    api.Replicate(context_, "UNLINK", "s", lent.name);
    return true;
  }
  if (lent.collection == nullptr) return false;
  const auto found = std::find_if(effects.begin(), effects.end(), [&](const Effect& effect) {
    return effect.id == lent.collection->id();
  });
  if (found == effects.end()) return false;
  for (const std::string& frame : found->frames) {
    api.Replicate(context_, "ENGRAM.APPLY", "sb", lent.name, frame.data(), frame.size());
  }
  return true;
}

}  // namespace engram::host
