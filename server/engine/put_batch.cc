// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/assert.h"
#include "core/row.h"
#include "server/engine/collection.h"

namespace engram {

/// What a committed batch still waits for.
struct Collection::PutBatch::Progress {
  std::shared_ptr<Collection> collection;
  std::function<void(Result<std::size_t>)> done;
  std::size_t unfinished;
  InProgress change;
  std::size_t added = 0;
  std::optional<Error> error;
};

struct Collection::PutBatch::Write {
  SlotEntry* entry;
  Slot replaced;  // kNoSlot if the key is new
  Status status;
};

Collection::PutBatch::~PutBatch() {
  // Never seen by the index, so no grace period is due.
  for (const SlotEntry* const entry : entries_) collection_->free_slot(entry->slot);
}

Status Collection::PutBatch::add(std::string_view key, std::span<const float> vector, Slot slot) {
  Result<SlotEntry*> entry = collection_->stage(key, vector, slot);
  if (!entry) return tl::unexpected(std::move(entry.error()));
  entries_.push_back(*entry);
  if (collection_->changes_.are_recorded()) {
    vectors_.insert(vectors_.end(), vector.begin(), vector.end());
  }
  return {};
}

void Collection::PutBatch::record() const {
  const CollectionChanges& changes = collection_->changes_;
  if (!changes.are_recorded()) return;
  const std::size_t dim = collection_->spec_.dim;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto vector = std::span(vectors_).subspan(i * dim, dim);
    const SlotEntry& entry = *entries_[i];
    changes.record(PutVector{changes.id(), entry.slot, entry.key, packed(vector)});
  }
}

void Collection::PutBatch::commit(std::function<void(Result<std::size_t>)> done) {
  ENGRAM_ASSERT(!entries_.empty());
  record();
  const auto progress =
      std::make_shared<Progress>(Progress{collection_, std::move(done), entries_.size(),
                                          collection_->changes_.begin(), 0, std::nullopt});
  // Jobs of several inserts: enough of them to keep every worker busy, few enough that a batch of
  // thousands does not drown the queue. A key that is being written joins later, on its own.
  constexpr std::size_t kLargestJob = 16;
  const std::size_t jobs = collection_->context_.workers.size() * 4;
  const std::size_t job_size = std::clamp<std::size_t>(entries_.size() / jobs, 1, kLargestJob);
  const auto ready = std::make_shared<std::vector<SlotEntry*>>();
  for (SlotEntry* const entry : std::exchange(entries_, {})) {
    const auto is_collecting = std::weak_ptr(ready);
    collection_->key_order_.begin(entry->key, [progress, entry, is_collecting] {
      if (const auto collecting = is_collecting.lock()) {
        collecting->push_back(entry);
      } else {
        start(progress, {entry});
      }
    });
    if (ready->size() == job_size) start(progress, std::exchange(*ready, {}));
  }
  if (!ready->empty()) start(progress, std::exchange(*ready, {}));
}

void Collection::PutBatch::start(const std::shared_ptr<Progress>& progress,
                                 const std::vector<SlotEntry*>& entries) {
  Collection& collection = *progress->collection;
  const auto writes = std::make_shared<std::vector<Write>>();
  for (SlotEntry* const entry : entries) {
    const SlotEntry* const former = collection.keys_.find(entry->key);
    writes->push_back({entry, former == nullptr ? kNoSlot : former->slot, {}});
  }
  collection.write(
      [&collection, writes](Scratch& scratch) {
        for (Write& write : *writes) {
          write.status = collection.insert(*write.entry, write.replaced, scratch);
        }
      },
      [progress, writes] { finish(progress, *writes); });
}

void Collection::PutBatch::finish(const std::shared_ptr<Progress>& progress,
                                  std::vector<Write>& writes) {
  Collection& collection = *progress->collection;
  std::vector<std::string> keys;
  for (Write& write : writes) {
    keys.push_back(write.entry->key);
    if (write.status) {
      progress->added += collection.commit(*write.entry) ? 1 : 0;
    } else {
      if (!progress->error) progress->error = std::move(write.status.error());
      collection.record_failure(*write.entry);
      collection.grace_.after(
          [&collection, slot = write.entry->slot] { collection.free_slot(slot); });
    }
  }
  progress->unfinished -= writes.size();
  if (progress->unfinished == 0) {
    progress->change.end();
    if (progress->error) {
      progress->done(tl::unexpected(std::move(*progress->error)));
    } else {
      progress->done(progress->added);
    }
  }
  // Last, because it starts writes that waited, which may belong to this very batch.
  for (const std::string& key : keys) collection.key_order_.finish(key);
}

/// The put was told of, and did not happen: what the key holds instead is told, unless a later
/// write to it, which was told of already, is about to replace that anyway. A former vector under
/// cosine, or of codes, may come back different in the last place.
void Collection::record_failure(const SlotEntry& entry) {
  if (!changes_.are_recorded() || key_order_.is_contended(entry.key)) return;
  if (const SlotEntry* const former = keys_.find(entry.key)) {
    std::vector<float> vector(spec_.dim);
    store_->read(former->slot, vector);
    changes_.record(PutVector{context_.id, former->slot, entry.key, packed(vector)});
  } else {
    changes_.record(EraseVector{context_.id, entry.key});
  }
}

}  // namespace engram
