// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/groups/grouping.h"
#include "core/result.h"
#include "core/row_algebra.h"

namespace engram {

/// What is to be kept of a group.
enum class Keep : std::uint8_t {
  kCentroid,  ///< the weighted mean of the rows; under cosine of length one, as all rows are
  kMedoid,    ///< the member that is nearest to it
};

/// One for all of a group. Distances are Euclidean between rows.
struct Prototype {
  /// Empty: it is the member `kept`, as it is. So it is if all rows are the same, too, and if their
  /// mean has no direction under cosine.
  std::vector<float> vector;
  std::uint32_t kept;  ///< an item: of kMedoid the medoid, else the first of the group
  double radius;       ///< the most that a member has to the mean, or to the medoid
  double variance;     ///< the weighted mean of squared distances to the mean
  double mean_length;  ///< of the mean of rows, before it was made one of length one
};

/// Makes prototypes. Threads: one at a time.
class PrototypeMaker {
 public:
  /// Errors: those of make_row_algebra(). `items` outlive it.
  static Result<std::unique_ptr<PrototypeMaker>> create(const GroupedItems& items,
                                                        std::string_view kernel);

  /// members: at least one, ascending.
  Prototype make(std::span<const std::uint32_t> members, Keep keep);

 private:
  PrototypeMaker(const GroupedItems& items, std::unique_ptr<RowAlgebra> algebra);

  void find_mean(std::span<const std::uint32_t> members);
  [[nodiscard]] const float* row(std::uint32_t item, std::size_t place = 0);
  [[nodiscard]] bool are_same(std::span<const std::uint32_t> members);

  const GroupedItems& items_;
  const std::unique_ptr<RowAlgebra> algebra_;
  std::vector<double> mean_;  // padded as rows are
  AlignedBuffer places_;
};

}  // namespace engram
