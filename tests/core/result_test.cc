// SPDX-License-Identifier: Apache-2.0
#include "core/result.h"

#include <doctest/doctest.h>

#include <memory>

namespace engram::result_test {
namespace {

Status fails(bool really) {
  if (really) return fail(ErrorCode::kIo, "the disk is on fire");
  return {};
}

Result<std::unique_ptr<int>> tries(bool really, bool& went_on) {
  ENGRAM_TRY(fails(really));
  went_on = true;
  return std::make_unique<int>(7);
}

TEST_CASE("core/result: ENGRAM_TRY leaves with the error of what failed") {
  bool went_on = false;
  const auto result = tries(true, went_on);
  CHECK(!went_on);
  REQUIRE(!result.has_value());
  CHECK(result.error().code == ErrorCode::kIo);
  CHECK(result.error().message == "the disk is on fire");
}

TEST_CASE("core/result: ENGRAM_TRY goes on after a success, and values that only move come out") {
  bool went_on = false;
  const auto result = tries(false, went_on);
  CHECK(went_on);
  REQUIRE(result.has_value());
  CHECK(**result == 7);
}

}  // namespace
}  // namespace engram::result_test
