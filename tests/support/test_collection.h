// SPDX-License-Identifier: Apache-2.0
// A store, a kernel and an index of one primitive, kept together as the engine keeps them, beside
// the plainest model of what the index should answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string_view>
#include <vector>

#include "core/index.h"
#include "core/make_index.h"
#include "core/slot_set.h"
#include "tests/support/memory_sections.h"
#include "tests/support/vectors.h"

namespace engram::test {

/// What a snapshot has of a collection.
struct Saved {
  SlotSet items;   ///< held when the save began
  SlotSet stored;  ///< those that have a row
  Sections index;
  Sections store;
};

/// Used by one thread, unless a test takes care. Failures of the parts are assertions: a test that
/// expects one calls the index itself.
class TestCollection {
 public:
  TestCollection(const Primitive& primitive, Metric metric, std::size_t dim,
                 std::vector<OptionText> options = {});

  /// Inserts a vector at the slot that the store gives. The n-th insert has the n-th identity,
  /// sequence number and millisecond.
  Slot add(std::span<const float> vector);
  void add_all(const Vectors& vectors);

  /// Erases a held slot; its place is reused at once, or after reclaim() if traits say so.
  void erase(Slot slot);
  /// Reclaims what was erased.
  void reclaim();

  /// What the server does for a snapshot: its three steps, between which the collection may change.
  std::unique_ptr<Saved> save();
  std::unique_ptr<Saved> save_items() const;
  void save_structure(Saved& saved) const;
  /// Every slot that is not free must have been written.
  void save_rows(Saved& saved) const;

  /// Goes on from `saved` with a fresh store and a fresh index. Slots that are stored but no items
  /// are as if they had been erased just now.
  Status restore(const Saved& saved);

  std::vector<Hit> search(std::span<const float> query, SearchParams params);
  std::vector<Hit> search(std::span<const float> query, std::size_t k) {
    return search(query, SearchParams{.k = k});
  }

  /// Of a primitive that recalls.
  Recall recall_from(const Cue& cue, const RecallParams& params = {});
  /// With recall options, as VRECALL takes them.
  Recall recall_from(std::span<const float> cue, const std::vector<OptionText>& options);
  double energy(std::span<const float> state, const RecallParams& params = {});
  /// Surveys the items, or a sample of them, and adopts what comes of it.
  Tuning tune(std::size_t sample = kMaxSlots);

  /// The true answer: every held slot scored, sorted, cut.
  std::vector<Hit> expected(std::span<const float> query, std::size_t k);

  /// The share of the true k nearest that searches find, over all of `queries`.
  double recall(const Vectors& queries, SearchParams params);

  Query prepare(std::span<const float> vector) { return kernel().prepare(vector, buffer_); }

  const Primitive& primitive() const { return *spec_.primitive; }
  const Options& options() const { return spec_.options; }
  const std::set<Slot>& held() const { return held_; }
  Index& index() { return *made_.index; }
  VectorStore& store() { return *made_.store; }
  const Kernel& kernel() const { return *made_.kernel; }
  Scratch& scratch() { return scratch_; }

  /// A fresh index of the same primitive and options over the same store.
  std::unique_ptr<Index> make_index() const;

 private:
  const IndexSpec spec_;
  OwnedIndex made_;
  Scratch scratch_;
  AlignedBuffer buffer_;
  std::set<Slot> held_;
  std::vector<Slot> erased_;
  std::uint64_t inserts_ = 0;
};

/// The share of `truth` that `hits` contain.
double recall_of(std::span<const Hit> hits, std::span<const Hit> truth);

}  // namespace engram::test
