// SPDX-License-Identifier: Apache-2.0
// Tests of what lies above the primitives, and is the same for all of them.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/registry.h"
#include "tests/support/seed.h"
#include "tests/support/step.h"

namespace engram::test {

/// Calls body(primitive) for each primitive; with ENGRAM_PRIMITIVE_STEP for hnsw, which threads use
/// at once, and every so many-th of the others, as the seed of the run says.
template <class Body>
void for_each_primitive(Body&& body) {
  const std::uint64_t step =
      std::max<std::uint64_t>(1, environment_number("ENGRAM_PRIMITIVE_STEP", 1));
  std::uint64_t turn = run_seed();
  for (const Primitive* const primitive : primitives()) {
    if (turn++ % step != 0 && primitive->name != "hnsw") continue;
    CAPTURE(std::string(primitive->name));
    body(*primitive);
  }
}

}  // namespace engram::test
