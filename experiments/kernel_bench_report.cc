// SPDX-License-Identifier: Apache-2.0
#include "experiments/kernel_bench_report.h"

#include <algorithm>
#include <cstdio>

namespace engram::bench {
namespace {

/// Bytes of rows per second, in units of 1e9, that the core can score at most.
double bound_gbs(double clock, const VectorRates& rates, Metric metric) {
  return clock / rates.cycles_per_vector(metric) * static_cast<double>(rates.vector_bytes) * 1e-9;
}

}  // namespace

std::string case_name(Metric metric, std::size_t dim, std::string_view place,
                      std::string_view contender) {
  return std::string(metric_name(metric)) + "/" + std::to_string(dim) + "/" + std::string(place) +
         "/" + std::string(contender);
}

void print_bounds(double clock, std::span<const VectorRates> rates) {
  std::printf("\nmeasured clock %.2f GHz; vectors per cycle, and the bound on scoring rows in L1\n",
              clock * 1e-9);
  std::printf("%-10s%6s%8s%10s%10s%12s%12s\n", "kernel", "bytes", "loads", "l2 terms", "dot terms",
              "l2 GB/s", "dot GB/s");
  for (const VectorRates& r : rates) {
    std::printf("%-10s%6zu%8.2f%10.2f%10.2f%12.1f%12.1f\n", r.kernel.c_str(), r.vector_bytes,
                r.loads, r.l2_terms, r.dot_terms, bound_gbs(clock, r, Metric::kL2),
                bound_gbs(clock, r, Metric::kDot));
  }
}

void Reporter::ReportRuns(const std::vector<Run>& runs) {
  if (runs.empty() || runs.front().run_type != Run::RT_Iteration) return;  // statistics
  const auto fastest = std::min_element(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
    return a.GetAdjustedRealTime() < b.GetAdjustedRealTime();
  });
  best_[fastest->run_name.function_name] = *fastest;
  ConsoleReporter::ReportRuns({*fastest});
}

double Reporter::best(const std::string& name, const char* counter) const {
  const auto run = best_.find(name);
  if (run == best_.end()) return 0;
  const auto found = run->second.counters.find(counter);
  return found == run->second.counters.end() ? 0 : found->second.value;
}

void Reporter::print_case(Metric metric, std::size_t dim, std::string_view place,
                          const std::string& contender, double limit) const {
  const auto speed_of = [&](const std::string& other) {
    return best(case_name(metric, dim, place, other), "GFLOP/s");
  };
  const std::string name = case_name(metric, dim, place, contender);
  const double speed = speed_of(contender);
  if (speed == 0) return;  // filtered out
  const double loop = speed_of("float_loop");
  const double peer = std::max(speed_of("hnswlib"), speed_of("faiss"));
  const double bandwidth = best(name, "GB/s");
  std::printf("%-24s%10.1f%10.1f", name.c_str(), speed, bandwidth);
  const auto print_ratio = [](double value, double of, double scale, const char* unit) {
    if (of > 0)
      std::printf("%11.2f%s", value / of * scale, unit);
    else
      std::printf("%12s", "-");
  };
  print_ratio(bandwidth, limit, 100, "%");
  print_ratio(speed, loop, 1, "x");
  print_ratio(speed, peer, 1, "x");
  std::printf("\n");
}

void Reporter::print_summary(double clock, std::span<const VectorRates> rates,
                             std::span<const Metric> metrics, std::span<const std::size_t> dims,
                             std::span<const std::string> contenders) const {
  const double read = std::max(best("read/plain", "GB/s"), best("read/prefetched", "GB/s"));
  std::printf("\n%-24s%10s%10s%12s%12s%12s\n", "", "GFLOP/s", "GB/s", "of bound", "of loop",
              "of peers");
  for (const std::string_view place : {"L1", "DRAM", "scan"}) {
    for (const Metric metric : metrics) {
      for (const std::size_t dim : dims) {
        for (const std::string& contender : contenders) {
          const auto own = std::find_if(rates.begin(), rates.end(), [&](const VectorRates& r) {
            return r.kernel == contender;
          });
          const double core = own == rates.end() ? 0 : bound_gbs(clock, *own, metric);
          print_case(metric, dim, place, contender, place == "L1" ? core : read);
        }
      }
    }
  }
}

}  // namespace engram::bench
