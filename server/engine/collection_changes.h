// SPDX-License-Identifier: Apache-2.0
// What a collection tells of its changes. The rule: a change is recorded before it is begun, and
// changes to one key are begun in the order of their records, so a replay that repeats them in that
// order ends with the same content.
#pragma once

#include <cstdint>

#include "server/engine/change_sink.h"

namespace engram {

/// Threads: the event loop's only.
class CollectionChanges {
 public:
  /// `sink` may be null: nobody is told.
  CollectionChanges(std::uint64_t id, ChangeSink* sink) : id_(id), sink_(sink) {}

  /// A change recorded but not yet carried out. Copies stand for the same change; call end() on one
  /// of them, once.
  class InProgress {
   public:
    explicit InProgress(CollectionChanges& changes)
        : changes_(&changes), sink_(changes.sink_), ticket_(sink_ == nullptr ? 0 : sink_->begin()) {
      ++changes.version_;
    }
    void end() const {
      ++changes_->version_;
      if (sink_ != nullptr) sink_->end(ticket_);
    }

   private:
    CollectionChanges* changes_;
    ChangeSink* sink_;
    GracePeriod::Ticket ticket_;
  };

  /// Of the collection, in what is recorded.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

  void set_sink(ChangeSink* sink) noexcept { sink_ = sink; }
  [[nodiscard]] bool are_recorded() const noexcept { return sink_ != nullptr; }

  void record(const Change& change) const {
    if (sink_ != nullptr) sink_->record(change);
  }
  /// What was recorded last begins.
  [[nodiscard]] InProgress begin() { return InProgress(*this); }

  /// Rises when a change begins, and again when it has been carried out.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

 private:
  const std::uint64_t id_;
  ChangeSink* sink_;
  std::uint64_t version_ = 0;
};

}  // namespace engram
