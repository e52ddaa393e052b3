// SPDX-License-Identifier: Apache-2.0
// engram in a process of one's own: the typed requests, each as a function that returns the answer.
//
//   auto store = EmbeddedStore::open({.store = {.directory = "memory"}}).value();
//   store->create_index("notes", 3, {{"METRIC", "l2"}, {"PRIMITIVE", "flat"}}).value();
//   store->put("notes", "a", vector).value();
//   store->search("notes", query, 10).value().front().key;
//
// The directory is that of a server: either may open it after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "core/result.h"
#include "core/row_pages.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"
#include "server/requests/consolidate.h"
#include "server/requests/strength.h"

namespace engram {

class StoreThread;

/// Threads: any. Calls of different threads run beside each other, as those of different clients of
/// a server do. A vector is [dim] float32. Options are given by name, as commands take them:
/// {{"EF", "100"}}. Errors are those of the requests (server/requests), and kIo or kNoSpace where a
/// change cannot be kept.
class EmbeddedStore {
 public:
  struct Settings {
    StoreOptions store = {};
    SnapshotRules snapshots = {  ///< as a server's
        .ages = {{3600, 1}},
        .journal_percent = 100,
        .journal_bytes = std::uint64_t{64} << 20};
  };
  using OptionList = std::vector<OptionText>;

  struct Item {
    std::string_view key;
    std::span<const float> vector;
    /// A JSON object, or an empty text for none; nothing: the key keeps what it has.
    std::optional<std::string_view> attributes = {};
  };
  /// Several, one after the other: [n * size].
  struct Queries {
    std::span<const float> values;
    std::size_t size;  ///< of each, which is to be the index's dimension
  };
  struct Match {
    std::string key;
    float distance;
  };
  /// A Recall with the names of its items.
  struct Recollection {
    Recall recall;
    std::optional<std::string> attractor;  ///< the key of recall.attractor
    std::optional<std::string> onestep;    ///< the key of recall.onestep
    std::vector<std::string> support;      ///< the keys of recall.support
  };

  /// Of several keys.
  struct Rows {
    std::size_t dim = 0;
    std::vector<float> values;  ///< [keys * dim]; 0 where there is no such key
    std::vector<bool> found;    ///< [keys]
  };
  /// A group of items that became one, or would: see ConsolidatedGroup.
  struct Group {
    std::string key;
    double strength;
    double radius;
    double variance;
    std::vector<std::string> members;
  };
  /// A ConsolidateAnswer that owns its keys.
  struct Consolidated {
    std::size_t items;
    std::size_t members;
    std::size_t dropped;
    double beta;
    std::optional<LandscapeBounds> bounds;
    std::vector<Group> groups;
  };

  /// Has restored its data when it returns. Errors: those of Store::open.
  static Result<std::unique_ptr<EmbeddedStore>> open(const Settings& settings);
  /// As close(), its outcome ignored.
  ~EmbeddedStore();
  EmbeddedStore(const EmbeddedStore&) = delete;
  EmbeddedStore& operator=(const EmbeddedStore&) = delete;

  /// VNEW: METRIC, PRIMITIVE, DECAY ("exp 3600000"), OMEGA, CLOCK, REINFORCE and the primitive's
  /// options.
  Status create_index(std::string_view index, std::size_t dim, const OptionList& options = {});
  /// The same, in a store in memory, for the rows of a file, which are put in their order, and are
  /// not copied where they lie in memory as they do there: see RowsPlace::kFile.
  Status create_index_of_file(std::string_view index, std::size_t dim, const FileOfRows& file,
                              const OptionList& options = {});
  Status drop_index(std::string_view index);
  Result<std::vector<std::string>> list_indexes();
  Result<std::vector<Fact>> describe_index(std::string_view index);
  /// How many keys there are.
  Result<std::size_t> size(std::string_view index);
  Result<bool> contains(std::string_view index, std::string_view key);
  /// All keys, ascending by their bytes.
  Result<std::vector<std::string>> keys(std::string_view index);

  /// Stores a vector; true if the key is new. SETATTR; STRENGTH, AT and HALFLIFE, where the index
  /// keeps strengths.
  Result<bool> put(std::string_view index, std::string_view key, std::span<const float> vector,
                   const OptionList& options = {});
  /// The same unless something lies within that distance, in the metric: then the key of that, and
  /// nothing if the vector was stored. SETATTR, STRENGTH, AT, and TOUCH, the gain of what is near.
  Result<std::optional<std::string>> put_unless(std::string_view index, std::string_view key,
                                                std::span<const float> vector, float within,
                                                const OptionList& options = {});
  /// Stores several, on all workers; how many keys are new.
  Result<std::size_t> put(std::string_view index, std::span<const Item> items,
                          const OptionList& options = {});
  /// Gives a key attributes, a JSON object, or none for an empty text; false if it is not there.
  Result<bool> set_attributes(std::string_view index, std::string_view key,
                              std::string_view attributes);
  /// Nothing if the key has none, or is not there.
  Result<std::optional<std::string>> attributes(std::string_view index, std::string_view key);
  /// Adds to the strengths of keys, and returns them; nothing where there is no such key. GAIN, AT.
  Result<std::vector<std::optional<double>>> touch(std::string_view index,
                                                   std::span<const std::string_view> keys,
                                                   const OptionList& options = {});
  /// How strong a key is; nothing if it is not there. AT.
  Result<std::optional<StrengthAnswer>> strength(std::string_view index, std::string_view key,
                                                 const OptionList& options = {});
  /// Erases what is weaker than `below`, and returns the keys, weakest first. `is_dry_run`: only
  /// returns them. AT, LIMIT.
  Result<std::vector<std::string>> forget(std::string_view index, double below,
                                          const OptionList& options = {}, bool is_dry_run = false);
  /// True if the key was there.
  Result<bool> erase(std::string_view index, std::string_view key);
  Result<std::optional<std::vector<float>>> get(std::string_view index, std::string_view key);
  Result<Rows> get(std::string_view index, std::span<const std::string_view> keys);
  /// Makes one item of those that lie near each other. RADIUS, METHOD, K, SEED, KEEP, INTO, REPLAY,
  /// BY, WALK, TEMPERATURE, MINSIZE, AT, LIMIT. `is_dry_run`: only tells.
  Result<Consolidated> consolidate(std::string_view index, const OptionList& options,
                                   bool is_dry_run = false);

  /// The min(k, size) nearest, closest first; RADIUS, EF, STEPS, AT, TOUCH and the primitive's
  /// options.
  Result<std::vector<Match>> search(std::string_view index, std::span<const float> query,
                                    std::size_t k, const OptionList& options = {});
  /// The same for several queries, on all workers.
  Result<std::vector<std::vector<Match>>> search_batch(std::string_view index,
                                                       const Queries& queries, std::size_t k,
                                                       const OptionList& options = {});

  /// MASK, TOP, AT, TOUCH and the primitive's options.
  Result<Recollection> recall(std::string_view index, std::span<const float> cue,
                              const OptionList& options = {});
  /// AT and the primitive's options.
  Result<double> energy(std::string_view index, std::span<const float> state,
                        const OptionList& options = {});
  /// SAMPLE, SEED and the primitive's options.
  Result<Tuning> tune(std::string_view index, const OptionList& options = {});
  Result<std::vector<Fact>> diagnose(std::string_view index, const OptionList& options = {});

  /// Takes a snapshot and returns when it is in its place; or, unless `directory` is empty, copies
  /// the store into that directory, which has none. Writes wait for a copy of what is in memory
  /// only.
  Status save(const std::string& directory = {});
  /// Ends the store once all calls have returned. Errors: those of Store::close. Idempotent.
  Status close();

 private:
  explicit EmbeddedStore(std::unique_ptr<StoreThread> thread);

  const std::unique_ptr<StoreThread> thread_;
};

}  // namespace engram
