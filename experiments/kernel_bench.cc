// SPDX-License-Identifier: Apache-2.0
// How fast each kernel scores rows: lists of 32, the neighbour list of a graph hop, where rows in
// the L1 cache show the arithmetic and rows in DRAM the prefetching; and scans of 1 GiB. At the
// end, how that compares with what the core can do at most, with what reading the memory takes, and
// with the peers. Every figure is the best of its repetitions by the clock on the wall, for other
// programs only slow a case down.
//
//   meson test --benchmark kernel_bench -v
//   kernel_bench --benchmark_filter='limits|read|l2/768/'
//
// Operations per component are 3 for l2 (subtract, multiply, add) and 2 for dot (multiply, add).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/kernel.h"
#include "core/reserved_memory.h"
#include "core/row.h"
#include "experiments/core_rates.h"
#include "experiments/kernel_bench_peers.h"
#include "experiments/kernel_bench_report.h"

namespace engram::bench {
namespace {

constexpr std::size_t kDims[] = {100, 384, 768, 784, 1536};
constexpr Metric kBenchMetrics[] = {Metric::kL2, Metric::kDot};
constexpr std::size_t kBatch = 32;
constexpr std::size_t kScanBatch = 1024;                  // as core/bound.h scans
constexpr std::size_t kL1Bytes = std::size_t{24} << 10;   // rows and the query
constexpr std::size_t kDramBytes = std::size_t{1} << 30;  // beyond any last-level cache here

/// How long a case is measured at once, and how often. Rows in L1 are measured in fractions of a
/// time slice, as the core's own limits are.
struct Timing {
  double seconds;
  int repetitions;
};
constexpr Timing kL1Timing{0.001, 200};
constexpr Timing kMemoryTiming{0.02, 10};

double operations(Metric metric, std::size_t dim) {
  return (metric == Metric::kL2 ? 3.0 : 2.0) * static_cast<double>(dim);
}

/// What a first attempt looks like: one float sum. Compilers must not reorder it.
float float_loop(Metric metric, const float* query, const float* row, std::size_t dim) {
  float sum = 0;
  if (metric == Metric::kL2) {
    for (std::size_t i = 0; i < dim; ++i) {
      const float difference = query[i] - row[i];
      sum += difference * difference;
    }
  } else {
    for (std::size_t i = 0; i < dim; ++i) sum -= query[i] * row[i];
  }
  return sum;
}

std::unique_ptr<Kernel> make_float_loop_kernel(Metric metric, std::size_t dim) {
  const auto score = [metric, dim](const void* query, const void* row) {
    return float_loop(metric, static_cast<const float*>(query), static_cast<const float*>(row),
                      dim);
  };
  return std::make_unique<PairwiseKernel<decltype(score)>>("float_loop", metric, dim, score);
}

std::unique_ptr<Kernel> make_contender(const std::string& name, Metric metric, std::size_t dim) {
  if (name == "float_loop") return make_float_loop_kernel(metric, dim);
  if (name == "hnswlib") return make_hnswlib_kernel(metric, dim);
#ifdef ENGRAM_BENCH_FAISS
  if (name == "faiss") return make_faiss_kernel(metric, dim);
#endif
  return std::move(*make_kernel(name, metric, dim));
}

/// Memory full of small numbers, shared by all cases: what is in a row does not change its cost.
const std::byte* row_memory() {
  static const MappedMemory memory = [] {
    MappedMemory mapped =
        std::move(*MappedMemory::map(kDramBytes, MappedMemory::Access::kReadWrite));
    mapped.prefer_huge_pages();
    auto* const values = reinterpret_cast<float*>(mapped.data());
    for (std::size_t i = 0; i < kDramBytes / sizeof(float); ++i) {
      values[i] = static_cast<float>(i % 1021) / 1021.0F - 0.5F;
    }
    return mapped;
  }();
  return memory.data();
}

/// Addresses of all the rows that fit in `bytes`, shuffled, repeated to whole batches.
std::vector<const std::byte*> shuffled_rows(std::size_t bytes, std::size_t dim) {
  std::vector<const std::byte*> rows;
  const std::size_t count = bytes / row_bytes(dim);
  for (std::size_t i = 0; i < count; ++i) rows.push_back(row_memory() + i * row_bytes(dim));
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(42));
  const std::size_t whole = round_up(count, kBatch);
  for (std::size_t i = 0; rows.size() < whole; ++i) rows.push_back(rows[i]);
  return rows;
}

void report(benchmark::State& state, Metric metric, std::size_t dim, std::size_t rows) {
  const double rows_scored = static_cast<double>(state.iterations()) * static_cast<double>(rows);
  state.counters["GFLOP/s"] =
      benchmark::Counter(rows_scored * operations(metric, dim) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GB/s"] = benchmark::Counter(
      rows_scored * static_cast<double>(row_bytes(dim)) * 1e-9, benchmark::Counter::kIsRate);
}

/// Rows in random order, out of so many that they stay where the case says.
void gather(benchmark::State& state, const std::string& name, Metric metric, std::size_t dim,
            std::size_t resident_bytes) {
  const auto kernel = make_contender(name, metric, dim);
  AlignedBuffer storage;
  const Query query = kernel->prepare(std::vector<float>(dim, 0.25F), storage);
  const auto rows = shuffled_rows(resident_bytes, dim);
  std::array<float, kBatch> scores;
  std::size_t next = 0;
  for (auto _ : state) {
    kernel->gather(query, {rows.data() + next, kBatch}, scores);
    benchmark::DoNotOptimize(scores);
    next += kBatch;
    if (next == rows.size()) next = 0;
  }
  report(state, metric, dim, kBatch);
}

/// Rows of DRAM one after the other.
void scan(benchmark::State& state, const std::string& name, Metric metric, std::size_t dim) {
  const auto kernel = make_contender(name, metric, dim);
  AlignedBuffer storage;
  const Query query = kernel->prepare(std::vector<float>(dim, 0.25F), storage);
  const std::size_t count = kDramBytes / row_bytes(dim);
  std::array<float, kScanBatch> scores;
  for (auto _ : state) {
    for (std::size_t row = 0; row < count; row += kScanBatch) {
      const std::span out = std::span(scores).first(std::min(kScanBatch, count - row));
      kernel->scan(query, row_memory() + row * row_bytes(dim), out);
      benchmark::DoNotOptimize(scores);
    }
  }
  report(state, metric, dim, count);
}

/// All of the memory and nothing else: what a scan can reach at most.
void read(benchmark::State& state, bool prefetched) {
  for (auto _ : state) benchmark::DoNotOptimize(read_all(row_memory(), kDramBytes, prefetched));
  const double bytes_read = static_cast<double>(state.iterations()) * double{kDramBytes};
  state.counters["GB/s"] = benchmark::Counter(bytes_read * 1e-9, benchmark::Counter::kIsRate);
}

std::vector<std::string> contenders() {
  std::vector<std::string> names = {"float_loop"};
  for (const std::string& name : kernel_names()) {
    if (name != "auto") names.push_back(name);
  }
  names.push_back("hnswlib");
#ifdef ENGRAM_BENCH_FAISS
  names.push_back("faiss");
#endif
  return names;
}

template <class Body>
void register_case(const std::string& name, Timing timing, const Body& body) {
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->MinTime(timing.seconds)
      ->Repetitions(timing.repetitions)
      ->UseRealTime();
}

/// What the core can do at most, like what a kernel can do, shows only while nothing disturbs it.
/// So it is measured as often as a kernel is, between the cases.
void register_limits(double clock, std::vector<VectorRates>& rates) {
  const auto measure = [clock, &rates](benchmark::State& state) {
    for (auto _ : state) {
      rates = better_of(std::move(rates), measure_vector_rates(clock, row_memory()));
    }
  };
  benchmark::RegisterBenchmark("limits", measure)
      ->Iterations(1)
      ->Repetitions(kL1Timing.repetitions);
}

void register_cases() {
  using benchmark::State;
  register_case("read/plain", kMemoryTiming, [](State& state) { read(state, false); });
  register_case("read/prefetched", kMemoryTiming, [](State& state) { read(state, true); });
  for (const Metric metric : kBenchMetrics) {
    for (const std::size_t dim : kDims) {
      const std::size_t l1_bytes = kL1Bytes - row_bytes(dim);
      for (const std::string& name : contenders()) {
        register_case(case_name(metric, dim, "L1", name), kL1Timing,
                      [=](State& state) { gather(state, name, metric, dim, l1_bytes); });
        register_case(case_name(metric, dim, "DRAM", name), kMemoryTiming,
                      [=](State& state) { gather(state, name, metric, dim, kDramBytes); });
        register_case(case_name(metric, dim, "scan", name), kMemoryTiming,
                      [=](State& state) { scan(state, name, metric, dim); });
      }
    }
  }
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  using namespace engram::bench;
  // Cases take turns, so that a disturbance does not hit all repetitions of one.
  std::string interleaved = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> arguments(argv, argv + argc);
  arguments.insert(arguments.begin() + 1, interleaved.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  const double clock = measure_clock();
  auto rates = measure_vector_rates(clock, row_memory());
  register_limits(clock, rates);
  register_cases();
  Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  rates = better_of(std::move(rates), measure_vector_rates(clock, row_memory()));
  print_bounds(clock, rates);
  reporter.print_summary(clock, rates, kBenchMetrics, kDims, contenders());
  return 0;
}
