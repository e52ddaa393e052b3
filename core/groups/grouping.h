// SPDX-License-Identifier: Apache-2.0
// Groups of items that lie near each other, for whoever wants to keep one of each. Distances are
// Euclidean between rows, whatever the metric of searches: under cosine between unit vectors.
// Groups depend on the items and their order alone: not on threads, time, or how steps are cut.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/groups/ordered_rows.h"
#include "core/result.h"

namespace engram {

enum class GroupMethod : std::uint8_t {
  /// An item joins the nearest seed within the radius, or becomes one (Hartigan 1975). Seeds are
  /// farther apart than the radius.
  kLeader,
  /// An item follows the mean of what is nearer than the radius until it comes to rest, as `lsr`
  /// recalls; those that rest on the same items are a group (Fukunaga & Hostetler 1975).
  kMeanShift,
  /// An item joins the nearest centre; centres are means of theirs (Lloyd 1982).
  kKMeans,
};
/// "leader", "meanshift", "kmeans".
inline constexpr std::string_view kGroupMethodNames[] = {"leader", "meanshift", "kmeans"};

struct GroupingParams {
  GroupMethod method = GroupMethod::kLeader;
  /// 0: only items whose rows are the same. kMeanShift: items exactly at it are outside, at 0 they
  /// are not.
  double radius = 0;
  /// Of kKMeans: how many centres, which begin at items that `seed` draws. 0: they begin as the
  /// groups of kLeader.
  std::size_t clusters = 0;
  std::uint64_t seed = 42;
};

/// What is to be grouped: the first has the first say.
struct GroupedItems {
  OrderedRows rows;
  std::vector<double> log_weights;        ///< of the rows in their mean; finite
  std::vector<std::uint64_t> identities;  ///< hashes, the same on every machine; for `seed`
};

/// A search for groups, in steps that each take some milliseconds. Threads: one at a time.
class Grouping {
 public:
  virtual ~Grouping() = default;

  /// Does the next step. False: it was the last one.
  virtual bool step() = 0;

  /// How much is done, of progress_end() at the most. Any thread may have been told.
  [[nodiscard]] virtual std::size_t progress() const noexcept = 0;
  [[nodiscard]] virtual std::size_t progress_end() const noexcept = 0;

  /// After the last step: the group of each item. Groups are numbered in the order of their first
  /// items.
  [[nodiscard]] virtual std::vector<std::uint32_t> take_groups() = 0;
};

/// Begins a search. `items` outlive it; kernel: as make_kernel() takes it. Errors: kInvalidArgument
/// for a radius that is no number or less than 0, and those of make_kernel().
Result<std::unique_ptr<Grouping>> make_grouping(const GroupingParams& params,
                                                const GroupedItems& items, std::string_view kernel);

/// Calls add(item, share) for `members`, of whose weights the shares have the sum 1.
template <class Add>
void for_each_share(const GroupedItems& items, std::span<const std::uint32_t> members, Add&& add) {
  double greatest = items.log_weights[members.front()];
  for (const std::uint32_t item : members) {
    greatest = std::max(greatest, items.log_weights[item]);
  }
  double total = 0;
  for (const std::uint32_t item : members) total += std::exp(items.log_weights[item] - greatest);
  for (const std::uint32_t item : members) {
    add(item, std::exp(items.log_weights[item] - greatest) / total);
  }
}

/// Numbers that name groups, as take_groups() has them.
std::vector<std::uint32_t> in_order_of_first(std::vector<std::uint32_t> labels);

/// The items of each group, ascending.
std::vector<std::vector<std::uint32_t>> members_of(const std::vector<std::uint32_t>& groups);

}  // namespace engram
