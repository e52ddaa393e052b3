// SPDX-License-Identifier: Apache-2.0
// How an index lies on the cluster: how many partitions it has, under which keys, and what is being
// done to it as a whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram::router {

/// So many partitions under keys of that epoch.
struct Placement {
  std::size_t partitions = 0;
  std::uint64_t epoch = 0;

  friend bool operator==(const Placement&, const Placement&) = default;
};

struct Layout {
  /// The last four are of growth, in their order; growth.h has what they mean.
  enum class State : std::uint8_t {
    kMaking,
    kReady,
    kDropping,
    kOpening,
    kGrowing,
    kClosing,
    kClearing
  };

  std::string index;
  std::size_t dim = 0;
  std::string metric = "cosine";
  std::string primitive = "hnsw";
  std::size_t partitions = 0;
  std::uint64_t epoch = 0;  ///< of this layout: no other that the name had has the same
  State state = State::kReady;
  // What its recalls do unless they say otherwise, if VNEW has said so.
  std::optional<std::size_t> steps = {};
  std::optional<double> tolerance = {};
  bool is_clamped = false;   ///< MODE clamp
  std::string made = {};     ///< the words of VNEW behind the name, with commas between
  bool is_grown = false;     ///< once its keys have had other names
  std::int64_t seen_ms = 0;  ///< when this router first read of the epoch, by steady_ms()
  std::string stored = {};   ///< what the meta key holds, if that was read
  // What growth has under other keys.
  std::vector<Placement> from = {};  ///< under which partitions are that have not been renamed
  std::vector<Placement> into = {};  ///< where items are copied to: none or one
  std::vector<Placement> away = {};  ///< what is of no use any more
  // What follows from that, for each partition.
  std::vector<std::string> keys = {};
  std::vector<std::uint16_t> slots = {};

  /// Fills in keys and slots.
  void place();
  /// The same index under the keys of a placement.
  [[nodiscard]] Layout at(const Placement& placement) const;
  [[nodiscard]] Placement placement() const noexcept { return {partitions, epoch}; }
  /// All keys that it has, may have, or has had since it was last ready, are under these.
  [[nodiscard]] std::vector<Placement> placements() const;
  /// An epoch that none of those has, and none that it had before: `now_us` or later.
  [[nodiscard]] std::uint64_t epoch_after(std::uint64_t now_us) const;
  /// Whether commands on items may be carried out.
  [[nodiscard]] bool is_usable() const noexcept {
    return state == State::kReady || state == State::kGrowing || state == State::kClearing;
  }
  /// Whether its partitions are about to be found under other keys: commands wait.
  [[nodiscard]] bool is_between() const noexcept {
    return state == State::kOpening || state == State::kClosing;
  }
  /// As the meta key holds it: names and values in turn, separated by spaces.
  [[nodiscard]] std::string text() const { return text_in(state); }
  /// The same in another state.
  [[nodiscard]] std::string text_in(State other) const;
  /// The words of VNEW behind the name. Empty: an older router has made it, and has not told.
  [[nodiscard]] std::vector<std::string> words() const;
  /// Errors: kDataLoss.
  static Result<Layout> parse(std::string_view index, std::string_view text);
};
using LayoutPtr = std::shared_ptr<const Layout>;

/// The key in which the names of items are noted that are written while a partition is copied. It
/// lies in the slot of the partition.
std::string notes_key(std::string_view partition_key);

/// Errors: kInvalidArgument for a name that would choose its own slot.
Status check_index_name(std::string_view index);

Error no_such_index(std::string_view index);

}  // namespace engram::router
