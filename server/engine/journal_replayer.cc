// SPDX-License-Identifier: Apache-2.0
#include "server/engine/journal_replayer.h"

#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "core/row.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/engine/keyspace_changes.h"

namespace engram {
namespace {

/// Vectors being inserted while more of the journal is read.
constexpr std::size_t kMostInFlight = 4096;

tl::unexpected<Error> wrong_change(std::string message) {
  return fail(ErrorCode::kDataLoss, std::move(message));
}

}  // namespace

Status JournalReplayer::repeat_frame(Lsn lsn, std::string_view changes) {
  if (Status repeated = repeat_all(changes); !repeated) {
    Error& error = repeated.error();
    error.message = "frame " + std::to_string(lsn) + " of the journal: " + error.message;
    return repeated;
  }
  return work_.wait_until_at_most(kMostInFlight);
}

Status JournalReplayer::finish() {
  ENGRAM_TRY(displaced_.put_all(collections_, work_));
  ENGRAM_TRY(work_.wait_for_all());
  collections_.drop_deserted();
  collections_.report_skipped();
  return {};
}

Status JournalReplayer::repeat_all(std::string_view changes) {
  while (!changes.empty()) {
    const auto change = decode(changes);
    if (!change) return tl::unexpected(change.error());
    ENGRAM_TRY(std::visit([this](const auto& it) { return apply(it); }, *change));
  }
  return {};
}

template <class KeyspaceChange>
Status JournalReplayer::apply(const KeyspaceChange& change) {
  repeat(keyspace_, change);
  return {};
}

/// A collection that the snapshot knows already stays: what the journal puts into it is there, or
/// comes.
Status JournalReplayer::apply(const NewCollection& change) {
  if (const Value* const value = keyspace_.peek(change.key)) {
    const auto* const existing = std::get_if<std::shared_ptr<Collection>>(value);
    if (existing != nullptr && (*existing)->id() == change.id) return {};
  }
  const auto restored = collections_.restore(change, nullptr);
  if (!restored) return tl::unexpected(restored.error());
  return {};
}

Status JournalReplayer::apply(const PutVector& change) {
  const auto collection = collections_.find(change.id);
  if (collection == nullptr) return {};
  ENGRAM_TRY(read_vector(change, collection->spec().dim));
  displaced_.forget(change.id, change.key);
  // All writes to it stand in one line, so each waits for all: which one holds a key can be seen
  // then.
  const bool is_in_order = collection->is_order_dependent();
  if (is_in_order) ENGRAM_TRY(work_.wait_for_all());
  if (collection->holds(change.key, vector_, change.slot)) {
    // The snapshot may know it after a write that comes later here.
    if (is_in_order) collection->put_again(change.key, work_.begin());
    // A put leaves its key with no attributes, and what it gives follows.
    const auto cleared = collection->set_attributes(change.key, "");
    return cleared ? Status() : Status(tl::unexpected(cleared.error()));
  }
  ENGRAM_TRY(make_free(*collection, change.slot));
  if (!collection->is_free(change.slot)) {
    displaced_.add(change.id, change.key, change.slot, vector_);
    return {};
  }
  return start_put(collection, change.key, vector_, change.slot, work_);
}

/// Fills vector_, and checks what else a put says.
Status JournalReplayer::read_vector(const PutVector& change, std::size_t dim) {
  vector_.resize(dim);
  if (change.vector.size() != dim * sizeof(float)) {
    return wrong_change("a vector of " + std::to_string(change.vector.size()) + " bytes, " +
                        std::to_string(dim * sizeof(float)) + " were expected");
  }
  std::memcpy(vector_.data(), change.vector.data(), change.vector.size());
  ENGRAM_TRY(check_vector(vector_));
  if (change.slot < kMaxSlots) return {};
  return wrong_change("there is no slot " + std::to_string(change.slot) + ", " +
                      std::to_string(kMaxSlots) + " is the most");
}

/// When `slot` was chosen it was free. So it is now, once what went before has come to its end,
/// unless the snapshot knows already what came to lie there later.
Status JournalReplayer::make_free(Collection& collection, Slot slot) {
  if (collection.is_free(slot)) return {};
  ENGRAM_TRY(work_.wait_for_all());
  if (collection.is_free(slot) || collection.is_held(slot)) return {};
  collection.settle(work_.begin());
  return work_.wait_for_all();
}

Status JournalReplayer::apply(const EraseVector& change) {
  displaced_.forget(change.id, change.key);
  if (const auto collection = collections_.find(change.id)) {
    collection->erase(change.key, [done = work_.begin()](bool) { done({}); });
  }
  return {};
}

Status JournalReplayer::apply(const TuneIndex& change) {
  const auto collection = collections_.find(change.id);
  if (collection == nullptr) return {};
  const auto done = work_.begin();
  const Status tuned =
      collection->tune({change.numbers.begin(), change.numbers.end()}, [done] { done({}); });
  if (tuned) return {};
  done({});
  return wrong_change(tuned.error().message);
}

/// The last one of a key counts, whatever the snapshot knows.
Status JournalReplayer::apply(const SetStrength& change) {
  const auto collection = collections_.find(change.id);
  if (collection == nullptr) return {};
  if (!collection->has_strengths()) {
    return wrong_change("a strength, in an index that keeps none");
  }
  if (change.ms < 0 || change.ms > kMaxDecayMs) {
    return wrong_change("a strength has a time that there is not");
  }
  if (const Status sound = check_trace(collection->spec().decay, change.trace); !sound) {
    return wrong_change(sound.error().message);
  }
  collection->pass_time(change.ms);
  if (displaced_.set_strength(change.id, change.key, change.trace, change.ms)) return {};
  return collection->set_strength(change.key, change.trace, change.ms);
}

/// As above.
Status JournalReplayer::apply(const SetAttributes& change) {
  const auto collection = collections_.find(change.id);
  if (collection == nullptr) return {};
  if (!change.text.empty()) {
    if (const Status checked = check_attributes(change.text); !checked) {
      return wrong_change(checked.error().message);
    }
  }
  if (displaced_.set_attributes(change.id, change.key, change.text)) return {};
  const auto set = collection->set_attributes(change.key, change.text);
  return set ? Status() : Status(tl::unexpected(set.error()));
}

}  // namespace engram
