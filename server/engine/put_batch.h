// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/engine/attributes.h"
#include "server/engine/slot_entry.h"
#include "server/engine/strengths.h"

namespace engram {

class Collection;

/// Writes that are put as a whole: staged one by one, which may fail and then leaves nothing
/// behind, and committed once. Threads: the event loop's only.
class PutBatch {
 public:
  explicit PutBatch(std::shared_ptr<Collection> collection) : collection_(std::move(collection)) {}
  ~PutBatch();
  PutBatch(const PutBatch&) = delete;
  PutBatch& operator=(const PutBatch&) = delete;

  /// Stages `vector` ([dim], passed check_vector) under `key`, in `slot` if one is named, which
  /// is_free(). Of two with one key the later wins. Errors: kResourceExhausted.
  Status add(std::string_view key, std::span<const float> vector, Slot slot = kNoSlot);

  /// Puts all that was added, at least one, then calls `done` with how many keys are new. Fails
  /// with the first error if the index could not take some of them; the others are stored
  /// nevertheless. gain: of strength, where the collection keeps it. attributes: of each.
  void commit(std::function<void(Result<std::size_t>)> done, const StrengthGain& gain = {},
              GivenAttributes attributes = {}) {
    commit_each(std::move(done), gain, {&attributes, 1});
  }
  /// The same with attributes for each that was added, in their order.
  void commit_each(std::function<void(Result<std::size_t>)> done, const StrengthGain& gain,
                   std::span<const GivenAttributes> attributes);

 private:
  const std::shared_ptr<Collection> collection_;
  std::vector<SlotEntry*> entries_;
  std::vector<float> vectors_;  // of entries_, as given; empty if changes are not recorded
};

}  // namespace engram
