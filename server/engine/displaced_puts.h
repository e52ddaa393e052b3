// SPDX-License-Identifier: Apache-2.0
// Puts of the journal whose slot another vector has. The rule: when a put was recorded its slot was
// free, so where it is not, the snapshot knows already what came to lie there later. Such a put
// waits: another change to its key makes it void, and at the end of the journal its slot is free,
// unless frames were lost, and then any slot will do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/slot.h"
#include "core/trace.h"
#include "server/engine/collection.h"
#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"

namespace engram {

/// Puts one vector; `slot` is free or kNoSlot. Its key has these attributes then, and no others.
Status start_put(const std::shared_ptr<Collection>& collection, std::string_view key,
                 std::span<const float> vector, Slot slot, PendingWork& work,
                 std::string_view attributes = {});

/// Threads: the one that recovers.
class DisplacedPuts {
 public:
  void add(std::uint64_t collection, std::string_view key, Slot slot, std::vector<float> vector);

  /// Gives a put that waits its strength. False if none does.
  bool set_strength(std::uint64_t collection, std::string_view key, const Trace& trace,
                    std::int64_t ms);

  /// The same of its attributes.
  bool set_attributes(std::uint64_t collection, std::string_view key, std::string_view text);

  /// Another change to the key has come.
  void forget(std::uint64_t collection, std::string_view key);

  /// At the end of the journal.
  Status put_all(RestoredCollections& collections, PendingWork& work);

 private:
  struct Put {
    Slot slot;
    std::vector<float> vector;  // empty: it was put
    struct Strength {
      Trace trace;
      std::int64_t ms;
    };
    std::optional<Strength> strength = std::nullopt;
    std::string attributes = {};
  };

  Status make_room(RestoredCollections& collections, PendingWork& work) const;

  std::map<std::pair<std::uint64_t, std::string>, Put> puts_;  // by collection and key
};

}  // namespace engram
