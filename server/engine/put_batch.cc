// SPDX-License-Identifier: Apache-2.0
#include "server/engine/put_batch.h"

#include <algorithm>

#include "server/engine/collection.h"

namespace engram {

PutBatch::~PutBatch() {
  // Never seen by the index, so no grace period is due.
  for (const SlotEntry* const entry : entries_) collection_->slots_.release(entry->slot());
}

Status PutBatch::add(std::string_view key, std::span<const float> vector, Slot slot) {
  Result<SlotEntry*> entry = collection_->slots_.stage(key, vector, slot);
  if (!entry) return tl::unexpected(std::move(entry.error()));
  entries_.push_back(*entry);
  if (collection_->strengths_ != nullptr) {
    ENGRAM_TRY(collection_->strengths_->ensure((*entry)->slot() + 1));
  }
  ENGRAM_TRY(collection_->attributes_.ensure((*entry)->slot() + 1));
  if (collection_->changes_.are_recorded()) {
    vectors_.insert(vectors_.end(), vector.begin(), vector.end());
  }
  return {};
}

void PutBatch::commit_each(std::function<void(Result<std::size_t>)> done, const StrengthGain& gain,
                           std::span<const GivenAttributes> attributes) {
  if (!gain.rule.says_nothing()) {
    const Status allowed = collection_->strengths_->allow_rules();
    if (!allowed) return done(tl::unexpected(allowed.error()));
  }
  const bool are_given =
      std::any_of(attributes.begin(), attributes.end(),
                  [](const GivenAttributes& given) { return given && !given->empty(); });
  if (are_given) {
    const Status allowed = collection_->attributes_.allow();
    if (!allowed) return done(tl::unexpected(allowed.error()));
  }
  collection_->writer_.put(std::exchange(entries_, {}), vectors_, gain, attributes,
                           std::move(done));
}

}  // namespace engram
