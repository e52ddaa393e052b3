// SPDX-License-Identifier: Apache-2.0
#include "server/requests/auto_index.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace engram {
namespace {

const std::shared_ptr<Collection>* collection_at(Store& store, std::string_view name) {
  const Value* const value = store.keyspace().peek(name);
  return value == nullptr ? nullptr : std::get_if<std::shared_ptr<Collection>>(value);
}

/// It may have been renamed, or dropped, since it was looked up.
void remove(Store& store, const IndexRef& index) {
  const auto holds = [&](std::string_view name) {
    const auto* const there = collection_at(store, name);
    return there != nullptr && *there == index.collection;
  };
  if (holds(index.name)) {
    store.keyspace().erase(index.name);
    return;
  }
  const auto& all = store.keyspace().collection_names();
  const std::vector<std::string> names(all.begin(), all.end());  // asking may remove an expired one
  const auto found = std::find_if(names.begin(), names.end(), holds);
  if (found != names.end()) store.keyspace().erase(*found);
}

bool is_to_go(const IndexRef& index) {
  return index.collection->set().is_auto && index.collection->is_deserted();
}

}  // namespace

bool is_auto_index(Store& store, std::string_view name) {
  const auto* const collection = collection_at(store, name);
  return collection != nullptr && (*collection)->set().is_auto;
}

void drop_if_deserted(Store& store, const IndexRef& index, bool is_step,
                      std::function<void(Lsn)> done) {
  if (!is_to_go(index)) return done(0);
  store.record_late(is_step, [&store, index, done = std::move(done)] {
    if (!is_to_go(index)) return done(0);
    remove(store, index);
    done(store.seal_late());
  });
}

}  // namespace engram
