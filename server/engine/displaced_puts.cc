// SPDX-License-Identifier: Apache-2.0
#include "server/engine/displaced_puts.h"

#include <set>

namespace engram {

Status start_put(const std::shared_ptr<Collection>& collection, std::string_view key,
                 std::span<const float> vector, Slot slot, PendingWork& work,
                 std::string_view attributes) {
  PutBatch batch(collection);
  ENGRAM_TRY(batch.add(key, vector, slot));
  batch.commit(
      [done = work.begin()](Result<std::size_t> added) {
        done(added ? Status{} : Status(tl::unexpected(std::move(added.error()))));
      },
      {}, attributes);
  return {};
}

void DisplacedPuts::add(std::uint64_t collection, std::string_view key, Slot slot,
                        std::vector<float> vector) {
  puts_.insert({{collection, std::string(key)}, {slot, std::move(vector)}});
}

bool DisplacedPuts::set_strength(std::uint64_t collection, std::string_view key, const Trace& trace,
                                 std::int64_t ms) {
  if (puts_.empty()) return false;
  const auto found = puts_.find({collection, std::string(key)});
  if (found == puts_.end()) return false;
  found->second.strength = {trace, ms};
  return true;
}

bool DisplacedPuts::set_attributes(std::uint64_t collection, std::string_view key,
                                   std::string_view text) {
  if (puts_.empty()) return false;
  const auto found = puts_.find({collection, std::string(key)});
  if (found == puts_.end()) return false;
  found->second.attributes = text;
  return true;
}

/// Seldom is there anything to forget.
void DisplacedPuts::forget(std::uint64_t collection, std::string_view key) {
  if (!puts_.empty()) puts_.erase({collection, std::string(key)});
}

/// Erases the former vectors of the keys, whose slots others may want.
Status DisplacedPuts::make_room(RestoredCollections& collections, PendingWork& work) const {
  std::set<std::shared_ptr<Collection>> emptied;
  for (const auto& [name, put] : puts_) {
    const auto collection = collections.find(name.first);
    if (collection == nullptr) continue;
    collection->erase(name.second, [done = work.begin()](bool) { done({}); });
    emptied.insert(collection);
  }
  ENGRAM_TRY(work.wait_for_all());
  for (const auto& collection : emptied) collection->settle(work.begin());
  return work.wait_for_all();
}

Status DisplacedPuts::put_all(RestoredCollections& collections, PendingWork& work) {
  ENGRAM_TRY(make_room(collections, work));
  for (const bool anywhere : {false, true}) {  // who finds its slot free goes first
    for (auto& [name, put] : puts_) {
      const auto collection = collections.find(name.first);
      if (collection == nullptr || put.vector.empty()) continue;
      if (!anywhere && !collection->is_free(put.slot)) continue;
      const Slot slot = anywhere ? kNoSlot : put.slot;
      ENGRAM_TRY(start_put(collection, name.second, std::exchange(put.vector, {}), slot, work,
                           put.attributes));
      if (put.strength) {
        ENGRAM_TRY(collection->set_strength(name.second, put.strength->trace, put.strength->ms));
      }
    }
  }
  puts_.clear();
  return {};
}

}  // namespace engram
