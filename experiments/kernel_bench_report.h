// SPDX-License-Identifier: Apache-2.0
// What a run of kernel_bench says at its end.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/metric.h"
#include "experiments/core_rates.h"

namespace engram::bench {

/// "l2/768/L1/AVX2". place: "L1", "DRAM" or "scan".
std::string case_name(Metric metric, std::size_t dim, std::string_view place,
                      std::string_view contender);

/// Prints the clock, the rates, and the bounds that follow from them.
void print_bounds(double clock, std::span<const VectorRates> rates);

/// Prints the best repetition of each case and remembers it.
class Reporter : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override;

  /// For each case that was run: its speed; its share of the core's bound (L1) or of the bandwidth
  /// of reading (DRAM, scan); and how many times as fast it is as the plain loop, and as the best
  /// peer.
  void print_summary(double clock, std::span<const VectorRates> rates,
                     std::span<const Metric> metrics, std::span<const std::size_t> dims,
                     std::span<const std::string> contenders) const;

 private:
  double best(const std::string& name, const char* counter) const;
  void print_case(Metric metric, std::size_t dim, std::string_view place,
                  const std::string& contender, double limit) const;

  std::map<std::string, Run> best_;
};

}  // namespace engram::bench
