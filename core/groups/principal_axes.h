// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "core/groups/ordered_rows.h"

namespace engram {

/// Orthonormal directions.
struct PrincipalAxes {
  std::size_t count;          ///< at least 1
  std::vector<float> values;  ///< [dim][count]
};

/// About the directions along which `rows`, of which there are some, vary most, at most `count`: by
/// subspace iteration (Halko, Martinsson & Tropp 2011) over a sample, a few megabytes of it. The
/// same rows have the same axes. Some may be zeros, if rows have no more to tell.
PrincipalAxes principal_axes(const OrderedRows& rows, std::size_t count);

}  // namespace engram
