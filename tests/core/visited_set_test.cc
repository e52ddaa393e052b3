// SPDX-License-Identifier: Apache-2.0
#include "core/visited_set.h"

#include <doctest/doctest.h>

namespace engram::visited_set_test {
namespace {

TEST_CASE("core/visited_set: a slot is new once per traversal") {
  VisitedSet visited;
  visited.start(3);
  CHECK(visited.insert(2));
  CHECK(!visited.insert(2));
  visited.start(3);
  CHECK(visited.insert(2));
}

TEST_CASE("core/visited_set: a slot that appeared after the start counts as visited") {
  VisitedSet visited;
  visited.start(1);
  CHECK(!visited.insert(1'000'000));
}

TEST_CASE("core/visited_set: slots that a longer traversal adds are new") {
  VisitedSet visited;
  visited.start(1);
  CHECK(visited.insert(0));
  visited.start(1000);
  for (Slot slot = 0; slot < 1000; ++slot) CHECK(visited.insert(slot));
}

TEST_CASE("core/visited_set: marks of 65,536 traversals ago do not look current") {
  VisitedSet visited;
  visited.start(2);
  CHECK(visited.insert(0));
  for (int i = 0; i < 65'535; ++i) visited.start(2);  // the version is now what it was
  CHECK(visited.insert(0));
  CHECK(visited.insert(1));
  CHECK(!visited.insert(1));
}

}  // namespace
}  // namespace engram::visited_set_test
