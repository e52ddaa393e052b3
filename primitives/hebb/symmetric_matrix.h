// SPDX-License-Identifier: Apache-2.0
// The little algebra that learning rules need. Every sum runs in a fixed order, so that the same
// matrix gives the same numbers whatever the machine's caches and threads are.
#pragma once

#include <cstddef>
#include <span>

#include "core/result.h"

namespace engram::hebb {

/// a[n, n], symmetric and positive definite, becomes its inverse. O(n^3).
void invert(std::span<double> a, std::size_t n);

/// a[n, n], symmetric and positive semidefinite, becomes the projector onto its range: of what is
/// smaller than a 10^-10 of the greatest pivot nothing is left. O(n^3). Errors: kResourceExhausted.
Status make_projector(std::span<double> a, std::size_t n);

}  // namespace engram::hebb
