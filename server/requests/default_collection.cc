// SPDX-License-Identifier: Apache-2.0
#include "server/requests/default_collection.h"

#include <memory>
#include <utility>

namespace engram {

Result<PutTarget> find_put_target(Store& store, const NewIndexRequest& usual) {
  const bool is_there = usual.name != kDefaultCollection || store.keyspace().contains(usual.name);
  auto index = is_there ? find_index(store, usual.name, Missing::kGone) : make_index(store, usual);
  if (!index) return tl::unexpected(std::move(index.error()));
  return PutTarget{.index = std::move(*index), .is_made = !is_there};
}

void publish(Store& store, const PutTarget& target) {
  if (target.is_made) {
    store.keyspace().set(kDefaultCollection, std::shared_ptr(target.index.collection));
  }
}

}  // namespace engram
