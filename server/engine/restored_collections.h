// SPDX-License-Identifier: Apache-2.0
// The collections of a store that is being restored. The rule: a collection that cannot be restored
// costs itself alone. It goes into quarantine: its name stays and answers why, what the journal
// says of it is skipped and counted, and everything else is served.
//
// Only a lack of memory stops the start: it may pass, and a quarantine would not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/result.h"
#include "server/durability/change.h"
#include "server/engine/collection.h"
#include "server/engine/recovery.h"

namespace engram {

/// The collection that was recorded, empty, with the id of the change. Errors: those of
/// Collection::create; kUnsupported, kInvalidArgument for what no engram records, or a later one.
Result<std::shared_ptr<Collection>> create_recorded(const NewCollection& change,
                                                    const RecoveryContext& context);

/// Threads: the one that recovers.
class RestoredCollections {
 public:
  explicit RestoredCollections(const RecoveryContext& context) : context_(context) {}

  /// Makes the collection of `change`, has it filled by `load` if that is given, and puts it into
  /// the keyspace: itself, or what stands for it in quarantine. Returns the former, or null.
  /// Errors: kResourceExhausted.
  using Load = std::function<Status(Collection&)>;
  Result<std::shared_ptr<Collection>> restore(const NewCollection& change, const Load& load);

  /// Has changes of that id made to a collection that is there already.
  void adopt(std::uint64_t id, const std::shared_ptr<Collection>& collection) {
    sound_[id] = collection;
  }

  /// The collection that a change is for; null if it was dropped, or is in quarantine, which counts
  /// the change as skipped.
  std::shared_ptr<Collection> find(std::uint64_t id);

  /// Of the first collection that could not be loaded because its sections are damaged; empty if
  /// there is none.
  [[nodiscard]] const std::string& damage() const noexcept { return damage_; }

  /// After the last change: the server may have ended between the erase of a vector set's last
  /// element and its own.
  void drop_deserted();

  /// After the last change: says in the log, and in damage(), how many were skipped.
  void report_skipped();

 private:
  struct Quarantined {
    std::weak_ptr<Collection> stand_in;
    std::uint64_t skipped = 0;
  };

  Status quarantine(const NewCollection& change, const char* place, const Error& reason);
  void add(const NewCollection& change, const std::shared_ptr<Collection>& collection);

  const RecoveryContext& context_;
  std::unordered_map<std::uint64_t, std::weak_ptr<Collection>> sound_;
  std::unordered_map<std::uint64_t, Quarantined> quarantined_;
  std::string damage_;
};

}  // namespace engram
