// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace engram::peers {

/// Calls work(i, thread) for every i in [begin, end), on `threads` threads that take the next one
/// as they become free.
template <class Work>
void parallel_for(std::size_t begin, std::size_t end, std::size_t threads, Work&& work) {
  std::atomic<std::size_t> next{begin};
  const auto run = [&](std::size_t thread) {
    for (std::size_t i = next++; i < end; i = next++) work(i, thread);
  };
  std::vector<std::thread> others;
  for (std::size_t thread = 1; thread < threads; ++thread) others.emplace_back(run, thread);
  run(0);
  for (std::thread& other : others) other.join();
}

}  // namespace engram::peers
