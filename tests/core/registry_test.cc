// SPDX-License-Identifier: Apache-2.0
#include "core/registry.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

namespace engram {
namespace {

Result<std::unique_ptr<Index>> refuse(const IndexContext& /*context*/, const Options& /*options*/) {
  return fail(ErrorCode::kUnsupported, "only a name");
}

// Not in the order of their names.
const Registration kSecond(
    {.name = "zeta", .summary = "the last", .source = "", .traits = {}, .create = refuse});
const Registration kFirst({.name = "alpha",
                           .summary = "the first",
                           .source = "",
                           .traits = {.exact = true},
                           .create = refuse});

TEST_CASE("core/registry: primitives that registered before main are listed by name") {
  const auto all = primitives();
  REQUIRE(all.size() == 2);
  CHECK(all[0]->name == "alpha");
  CHECK(all[1]->name == "zeta");
}

TEST_CASE("core/registry: a primitive is found in any letter case, with what it declared") {
  const auto found = find_primitive("ALPHA");
  REQUIRE(found.has_value());
  CHECK((*found)->summary == "the first");
  CHECK((*found)->traits.exact);
  CHECK(!(*found)->traits.concurrent);
}

TEST_CASE("core/registry: an unknown name is refused with the names there are") {
  const auto found = find_primitive("omega");
  REQUIRE(!found.has_value());
  CHECK(found.error().code == ErrorCode::kInvalidArgument);
  CHECK(found.error().message == "unknown primitive 'omega', this server has alpha, zeta");
  CHECK(find_primitive(std::string(100'000, 'x')).error().message.size() < 200);
}

}  // namespace
}  // namespace engram
