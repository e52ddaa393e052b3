// SPDX-License-Identifier: Apache-2.0
#include "core/registry.h"

#include <doctest/doctest.h>

#include <memory>
#include <span>
#include <string>

namespace engram::registry_test {
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

constexpr OptionSpec kOptions[] = {integer_option("STEPS", 1, 0, 9, "of recalls")};

// Before the recaller that it recalls by, and before what its options depend on.
const Registration kThird({.name = "middle",
                           .summary = "",
                           .source = "",
                           .traits = {},
                           .recalls_by_default = true,
                           .complete =
                               [](Primitive& primitive) {
                                 if (is_registered("zeta")) primitive.create_options = kOptions;
                               },
                           .create = refuse});
const DefaultRecallerRegistration kRecaller(
    {.recall_options = [] { return std::span<const OptionSpec>(kOptions); },
     .create = [](const MemoryView&) -> Result<std::unique_ptr<Recaller>> {
       return fail(ErrorCode::kUnsupported, "only a name");
     }});

TEST_CASE("core/registry: primitives that registered before main are listed by name") {
  const auto all = primitives();
  REQUIRE(all.size() == 3);
  CHECK(all[0]->name == "alpha");
  CHECK(all[1]->name == "middle");
  CHECK(all[2]->name == "zeta");
}

TEST_CASE("core/registry: what depends on other registrations is filled in, whatever their order") {
  const Primitive& primitive = **find_primitive("middle");
  CHECK(primitive.traits.recalls);
  CHECK(primitive.recall_options.data() == kOptions);
  CHECK(primitive.create_options.data() == kOptions);
  CHECK(!(*find_primitive("zeta"))->traits.recalls);
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
  CHECK(found.error().message == "unknown primitive 'omega', this server has alpha, middle, zeta");
  CHECK(find_primitive(std::string(100'000, 'x')).error().message.size() < 200);
}

TEST_CASE("core/registry: a primitive may come while the program runs, and be replaced") {
  // Beside the others, which other cases count.
  Primitive late = {.name = "late",
                    .summary = "the one",
                    .source = "",
                    .traits = {},
                    .recalls_by_default = true,
                    .create = refuse};
  REQUIRE(register_at_run_time(late).has_value());
  const Primitive& first = **find_primitive("LATE");
  CHECK(first.traits.recalls);
  CHECK(is_registered("late"));
  late.summary = "the other";
  REQUIRE(register_at_run_time(late).has_value());
  CHECK((*find_primitive("late"))->summary == "the other");
  CHECK(first.summary == "the one");  // of an index that exists
  CHECK(primitives().size() == 4);
  CHECK(primitives()[1] == *find_primitive("late"));
  late.name = "Zeta";
  CHECK(register_at_run_time(late).error().code == ErrorCode::kAlreadyExists);
}

}  // namespace
}  // namespace engram::registry_test
