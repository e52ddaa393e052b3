// SPDX-License-Identifier: Apache-2.0
#include "core/top_k.h"

#include <doctest/doctest.h>

#include "tests/support/seed.h"

namespace engram::test::top_k_test {
namespace {

TEST_CASE("core/top_k: keeps what sorting and cutting would, ties to the lower slot") {
  auto rng = make_rng(51);
  for (int round = 0; round < 200; ++round) {
    std::vector<Hit> stream;
    for (std::size_t i = rng() % 60; i > 0; --i) {
      stream.push_back({static_cast<float>(rng() % 8), static_cast<Slot>(rng() % 100)});
    }
    const std::size_t k = rng() % 20;
    std::vector<Hit> kept{{-1, 1}};  // left over from before
    TopK top(k, kept);
    for (const Hit& hit : stream) top.offer(hit);
    top.finish();
    std::sort(stream.begin(), stream.end());
    stream.resize(std::min(k, stream.size()));
    CHECK(kept == stream);
  }
}

TEST_CASE("core/top_k: the threshold admits everything until there are k") {
  std::vector<Hit> kept;
  TopK top(2, kept);
  top.offer({5, 0});
  CHECK(top.threshold() > 1e30F);
  top.offer({3, 1});
  CHECK(top.threshold() == 5);
  top.offer({4, 2});
  CHECK(top.threshold() == 4);
  CHECK(TopK(0, kept).threshold() < -1e30F);
}

}  // namespace
}  // namespace engram::test::top_k_test
