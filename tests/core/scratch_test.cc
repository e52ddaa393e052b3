// SPDX-License-Identifier: Apache-2.0
#include "core/scratch.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"

namespace engram::scratch_test {
namespace {

struct Beam {
  std::vector<int> candidates;
};
struct OtherBeam {
  std::vector<int> candidates;
};

TEST_CASE("core/scratch: a type's buffers are kept between calls, apart from other types'") {
  Scratch scratch;
  scratch.get<Beam>().candidates = {1, 2, 3};
  CHECK(scratch.get<OtherBeam>().candidates.empty());
  CHECK(scratch.get<Beam>().candidates == std::vector{1, 2, 3});
}

TEST_CASE("core/scratch: references stay valid as other types are added") {
  Scratch scratch;
  Beam& beam = scratch.get<Beam>();
  scratch.get<OtherBeam>();
  scratch.get<int>();
  scratch.get<std::vector<double>>();
  CHECK(&beam == &scratch.get<Beam>());
}

TEST_CASE("core/scratch: values start zeroed and are destroyed with their owner") {
  const auto witness = std::make_shared<int>(0);
  {
    Scratch scratch;
    CHECK(scratch.get<int>() == 0);
    scratch.get<std::shared_ptr<int>>() = witness;
    CHECK(witness.use_count() == 2);
  }
  CHECK(witness.use_count() == 1);
}

TEST_CASE("core/aligned_buffer: memory is aligned, and kept until more is needed") {
  AlignedBuffer buffer;
  std::byte* const first = buffer.reserve(1);
  CHECK(reinterpret_cast<std::uintptr_t>(first) % kRowAlignment == 0);
  CHECK(buffer.reserve(kRowAlignment) == first);
  std::byte* const second = buffer.reserve(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(second) % kRowAlignment == 0);
  CHECK(buffer.reserve(10) == second);
}

}  // namespace
}  // namespace engram::scratch_test
