// SPDX-License-Identifier: Apache-2.0
// How fast each kernel scores lists of 32 rows, the neighbour list of a graph hop: rows that stay
// in the L1 cache show the arithmetic, rows in DRAM show the prefetching.
//
//   meson test --benchmark kernel_bench -v
//   kernel_bench --benchmark_filter=l2/768/
//
// Operations per component are 3 for l2 (subtract, multiply, add) and 2 for dot (multiply, add).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "core/reserved_memory.h"
#include "core/row.h"
#include "experiments/kernel_bench_peers.h"

namespace engram::bench {
namespace {

constexpr std::size_t kDims[] = {100, 384, 768, 784, 1536};
constexpr Metric kBenchMetrics[] = {Metric::kL2, Metric::kDot};
constexpr std::size_t kBatch = 32;
constexpr std::size_t kL1Bytes = std::size_t{24} << 10;     // leaves room for the query
constexpr std::size_t kDramBytes = std::size_t{512} << 20;  // beyond any last-level cache here

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

void report(benchmark::State& state, Metric metric, std::size_t dim) {
  const double rows_scored = static_cast<double>(state.iterations()) * double{kBatch};
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
  report(state, metric, dim);
}

/// Rows of DRAM one after the other.
void scan(benchmark::State& state, const std::string& name, Metric metric, std::size_t dim) {
  const auto kernel = make_contender(name, metric, dim);
  AlignedBuffer storage;
  const Query query = kernel->prepare(std::vector<float>(dim, 0.25F), storage);
  const std::byte* const rows = row_memory();
  const std::size_t batches = kDramBytes / row_bytes(dim) / kBatch;
  std::array<float, kBatch> scores;
  std::size_t batch = 0;
  for (auto _ : state) {
    kernel->scan(query, rows + batch * kBatch * row_bytes(dim), scores);
    benchmark::DoNotOptimize(scores);
    batch = (batch + 1) % batches;
  }
  report(state, metric, dim);
}

std::vector<std::string> contenders() {
  std::vector<std::string> names = {"float_loop"};
  for (const std::string& name : kernel_names()) {
    if (name != "auto") names.push_back(name);
  }
  names.push_back("hnswlib");
  return names;
}

std::string case_name(Metric metric, std::size_t dim, std::string_view place,
                      std::string_view contender) {
  return std::string(metric_name(metric)) + "/" + std::to_string(dim) + "/" + std::string(place) +
         "/" + std::string(contender);
}

template <class Body>
void register_case(Metric metric, std::size_t dim, std::string_view place,
                   const std::string& contender, const Body& body) {
  benchmark::RegisterBenchmark(case_name(metric, dim, place, contender).c_str(), body)
      ->MinTime(0.1);
}

void register_cases() {
  using benchmark::State;
  for (const Metric metric : kBenchMetrics) {
    for (const std::size_t dim : kDims) {
      for (const std::string& name : contenders()) {
        register_case(metric, dim, "L1", name,
                      [=](State& state) { gather(state, name, metric, dim, kL1Bytes); });
        register_case(metric, dim, "DRAM", name,
                      [=](State& state) { gather(state, name, metric, dim, kDramBytes); });
        register_case(metric, dim, "scan", name,
                      [=](State& state) { scan(state, name, metric, dim); });
      }
    }
  }
}

/// Prints as usual and remembers each case's GFLOP/s for the summary.
class Reporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const auto counter = run.counters.find("GFLOP/s");
      if (counter != run.counters.end()) {
        gflops_[run.run_name.function_name] = counter->second.value;
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }

  /// How many times faster each kernel is than each baseline at 768 dimensions.
  void print_speedups() {
    std::printf("\nspeed-up at 768 dimensions over %12s %12s %12s\n", "float_loop", "scalar",
                "hnswlib");
    for (const Metric metric : kBenchMetrics) {
      for (const char* const place : {"L1", "DRAM", "scan"}) {
        for (const std::string& name : contenders()) print_speedup(metric, place, name);
      }
    }
  }

 private:
  void print_speedup(Metric metric, const char* place, const std::string& name) {
    const double own = gflops_[case_name(metric, 768, place, name)];
    if (own == 0) return;  // filtered out
    std::printf("%-31s", case_name(metric, 768, place, name).c_str());
    for (const char* const baseline : {"float_loop", "scalar", "hnswlib"}) {
      const double other = gflops_[case_name(metric, 768, place, baseline)];
      if (other == 0) continue;
      std::printf("%12.2fx", own / other);
    }
    std::printf("\n");
  }

  std::map<std::string, double> gflops_;
};

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  engram::bench::register_cases();
  engram::bench::Reporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  reporter.print_speedups();
  return 0;
}
