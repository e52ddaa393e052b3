// SPDX-License-Identifier: Apache-2.0
// All that a worker may do with a collection. The work of Collection::read(), recall() and survey()
// gets a ReadView and reaches the collection through it alone.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/index.h"
#include "core/kernel.h"
#include "core/make_index.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/scratch.h"
#include "core/vector_store.h"
#include "server/engine/attributes.h"
#include "server/engine/filtered_items.h"
#include "server/engine/query_plan.h"
#include "server/engine/replacements.h"
#include "server/engine/slot_entry.h"
#include "server/engine/strengths.h"

namespace engram {

/// One result of a search. The key is borrowed: valid while the work that searched runs.
struct Neighbor {
  std::string_view key;
  float distance;                    ///< effective, where there are strengths
  float raw = 0;                     ///< the metric's, if asked for
  double strength = 0;               ///< as of the search's time, if asked for
  std::string_view attributes = {};  ///< borrowed, too, if asked for; empty: it has none
  Slot slot = kNoSlot;               ///< for ReadView::read(), likewise
};

/// The nearest slot of some, and how far it lies in the metric.
struct NearSlot {
  Slot slot;
  float distance;
};

/// What else a search is to tell of each.
struct NeighborFields {
  bool raw = false;
  bool strength = false;  ///< only where there are strengths
  bool attributes = false;

  [[nodiscard]] bool any() const noexcept { return raw || strength || attributes; }
};

/// Valid while the work that got it runs. Threads: any worker, several at once.
class ReadView {
 public:
  /// What it reads; all of it outlives this.
  struct Parts {
    const IndexSpec& spec;
    const Kernel& kernel;
    const VectorStore& store;
    Index& index;
    const SlotEntries& entries;
    const Replacements& replacements;
    const Strengths* strengths;  // null: all items are equal
    const Attributes& attributes;
  };

  static constexpr float kAnyRadius = std::numeric_limits<float>::infinity();

  explicit ReadView(const Parts& parts) : parts_(parts) {}
  ReadView(const ReadView&) = delete;
  ReadView& operator=(const ReadView&) = delete;

  const IndexSpec& spec() const noexcept { return parts_.spec; }
  const Index& index() const noexcept { return parts_.index; }

  /// For each query the min(k, size) nearest keys, ascending by distance; no key twice, whatever
  /// is overwritten meanwhile. Where there are strengths, distances are effective ones, by the
  /// strengths as of `at_ms`; params.bias is set here. queries: [n * dim], each passed
  /// check_vector.
  ///
  /// With `among`, the nearest that meet its filter: min(k, matches) of them, except where
  /// params.most_visited ended the search of an index that walks. `reports`: none, or one for
  /// each query, and that is one query where there is no filter.
  ///
  /// radius: only keys whose distance, as it is answered, is at most this. Not NaN;
  /// params.max_score is set here.
  Result<std::vector<std::vector<Neighbor>>> search(std::span<const float> queries,
                                                    const SearchParams& params, std::int64_t at_ms,
                                                    Scratch& scratch, NeighborFields fields = {},
                                                    const FilteredItems* among = nullptr,
                                                    std::span<SearchReport> reports = {},
                                                    float radius = kAnyRadius) const;

  /// The same by looking at each of `items`, those that the work of Collection::visit_items() got:
  /// exact whatever the primitive, as far as the store's element is.
  std::vector<std::vector<Neighbor>> scan(std::span<const float> queries, std::size_t k,
                                          const SlotSet& items, std::int64_t at_ms,
                                          NeighborFields fields = {},
                                          float radius = kAnyRadius) const;

  /// Requires a primitive with Traits::recalls. RecallParams::items must be those that the work of
  /// Collection::recall() got.
  const Recaller& recaller() const noexcept { return *parts_.index.recaller(); }

  /// The bias of recalls as of `at_ms`; none where all items are equal.
  [[nodiscard]] std::optional<StrengthBias> bias(std::int64_t at_ms) const;
  /// What a search divides handicaps by: the recaller's beta, or 1 where it has none.
  [[nodiscard]] double search_beta() const;

  /// Makes `vector` ([dim]) that of a slot whose row nobody changes.
  void read(Slot slot, std::span<float> vector) const { parts_.store.read(slot, vector); }
  /// A query for what follows, and for index(); it lies in `storage`.
  Query prepare(std::span<const float> vector, AlignedBuffer& storage) const {
    return parts_.kernel.prepare(vector, storage);
  }
  /// Fills `hits` with the min(k, items.size()) nearest of `items`, ascending by the kernel's
  /// score, by looking at all of them; their rows stay meanwhile.
  void scan(Query query, const SlotSet& items, std::size_t k, std::vector<Hit>& hits) const;

  /// Goes on with a scan of `items`, whose rows stay until it has ended: looks at those among
  /// `slots`, keeps the min(k, items) nearest so far in `nearest`, and returns their distances,
  /// ascending. Where there are strengths, these are effective ones, as search() has them.
  struct SlotRange {
    Slot begin;
    Slot end;
  };
  std::vector<float> scan_on(std::span<const float> query, const SlotSet& items, SlotRange slots,
                             std::size_t k, std::int64_t at_ms, std::vector<Hit>& nearest) const;

  /// How far slots that this work met lie from `vector` ([dim], finite), in the metric.
  std::vector<float> distances(std::span<const float> vector, std::span<const Slot> slots) const;
  /// Makes `nearest` what is nearest to `vector` ([dim], passed check_vector), in the metric, of
  /// itself, `others`, and, with `in_index`, of what a search answers. Errors: those of
  /// Index::search().
  Status find_nearest(std::span<const float> vector, bool in_index, std::span<const Slot> others,
                      Scratch& scratch, std::optional<NearSlot>& nearest) const;
  /// The same without a search. Any thread.
  void find_nearest_of(std::span<const float> vector, std::span<const Slot> others,
                       std::optional<NearSlot>& nearest) const;
  /// ln s(at_ms) of such a slot; only where there are strengths.
  double log_strength(Slot slot, std::int64_t at_ms) const noexcept;
  /// Whether it is not to be forgotten, in the same sense.
  bool is_pinned(Slot slot) const noexcept { return parts_.strengths->is_pinned(slot); }

  /// The JSON object of such a slot, empty if it has none; valid while the work runs.
  std::string_view attributes_of(Slot slot) const noexcept { return parts_.attributes.text(slot); }

  /// What the recaller says of itself; empty if there is none.
  std::vector<Fact> describe_recaller() const;

  /// The key of a slot that this work met.
  std::string_view key_of(Slot slot) const noexcept { return parts_.entries[slot]->key(); }

 private:
  Status search_index(std::span<const Query> queries, const SearchParams& params, Scratch& scratch,
                      std::span<std::vector<Hit>> hits) const;
  Status search_among(const FilteredItems& among, std::span<const Query> queries,
                      const SearchParams& params, Scratch& scratch,
                      std::span<std::vector<Hit>> hits, std::span<SearchReport> reports) const;
  Result<bool> walk(const FilteredItems& among, Query query, const SearchParams& params,
                    Scratch& scratch, std::vector<Hit>& hits) const;
  Status scan_matching(const FilteredItems& among, Query query, const SearchParams& params,
                       std::vector<Hit>& hits) const;
  Status reconcile(Query query, SearchParams params, Replacements::Moment began, Scratch& scratch,
                   std::vector<Hit>& hits) const;
  bool add_missed(Query query, const SearchParams& params, const Replacements::Moment& began,
                  std::vector<Hit>& hits) const;
  std::size_t keep_first_of_each_key(std::vector<Hit>& hits) const;
  [[nodiscard]] float distance_of(const Hit& hit, const ScoreBias* bias) const noexcept {
    return bias == nullptr ? score_to_distance(spec().metric, hit.score)
                           : bias->distance(hit.score);
  }
  void leave_within(float radius, const ScoreBias* bias, std::vector<Hit>& hits) const;
  std::vector<Neighbor> name(std::span<const Hit> hits, const ScoreBias* bias) const;
  std::vector<float> distances(Query query, std::span<const Slot> slots) const;
  void add_fields(Query query, std::span<const Hit> hits, std::int64_t at_ms, NeighborFields fields,
                  std::vector<Neighbor>& neighbors) const;

  const Parts parts_;
};

}  // namespace engram
