// SPDX-License-Identifier: Apache-2.0
// What searches cost a C++ program that has the engine in its process: what python_overhead.py
// compares with.
//
//   build/experiments/facade_cost DIRECTORY INDEX QUERIES DIM K
//
// QUERIES: a file of float32 rows. For each line of standard input it asks them all, and prints the
// median of single searches and the time of one batch of them, in microseconds. Ends with its
// input.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/hosts/embedded/embedded_store.h"

namespace {

using Clock = std::chrono::steady_clock;

double microseconds(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<float> read_rows(const char* path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::vector<float> rows(static_cast<std::size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(rows.data()),
            static_cast<std::streamsize>(rows.size() * sizeof(float)));
  return rows;
}

engram::Status ask(engram::EmbeddedStore& store, const std::string& index,
                   const engram::EmbeddedStore::Queries& queries, std::size_t k) {
  std::vector<double> times;
  for (auto rest = queries.values; !rest.empty(); rest = rest.subspan(queries.size)) {
    const auto start = Clock::now();
    const auto found = store.search(index, rest.first(queries.size), k);
    times.push_back(microseconds(Clock::now() - start));
    if (!found) return tl::unexpected(found.error());
  }
  const auto start = Clock::now();
  const auto found = store.search_batch(index, queries, k);
  const double batch = microseconds(Clock::now() - start);
  if (!found) return tl::unexpected(found.error());
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  std::printf("%.3f %.1f\n", *middle, batch);
  std::fflush(stdout);
  return {};
}

engram::Status run(char** argv) {
  const std::vector<float> rows = read_rows(argv[3]);
  auto store = engram::EmbeddedStore::open({.store = {.directory = argv[1]}});
  if (!store) return tl::unexpected(store.error());
  for (std::string line; std::getline(std::cin, line);) {
    ENGRAM_TRY(ask(**store, argv[2], {rows, number(argv[4])}, number(argv[5])));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "facade_cost: expected DIRECTORY INDEX QUERIES DIM K\n");
    return EXIT_FAILURE;
  }
  const auto done = run(argv);
  if (!done) std::fprintf(stderr, "facade_cost: %s\n", done.error().message.c_str());
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
