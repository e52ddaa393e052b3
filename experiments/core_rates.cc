// SPDX-License-Identifier: Apache-2.0
#include "experiments/core_rates.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <utility>

#include "core/aligned_buffer.h"
#include "core/kernels/disabled_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "experiments/core_rates.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace engram::bench {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, kRowAlignment / sizeof(float)>;
using Vector = hn::Vec<Tag>;
constexpr std::size_t kLanes = hn::MaxLanes(Tag());

/// Independent sums: four cycles of latency at two per cycle, and one to spare.
constexpr std::size_t kChains = 9;

/// Independent differences: three cycles, two per cycle. All that 16 registers have room for.
constexpr std::size_t kDifferences = 6;

/// Terms after which both kinds of chains are back at their first.
using Terms = std::make_index_sequence<36>;

/// Vectors that a step through memory loads: enough for the latency of additions, or fewer, which
/// compilers leave in order. One is better here, the other there.
using ManyLoads = std::make_index_sequence<8>;
using FewLoads = std::make_index_sequence<4>;

template <std::size_t kCount>
float sum_of(const Vector (&vectors)[kCount]) {
  Vector sum = vectors[0];
  for (std::size_t i = 1; i < kCount; ++i) sum = hn::Add(sum, vectors[i]);
  return hn::GetLane(hn::SumOfLanes(Tag(), sum));
}

/// Loads `bytes` from `memory`, `passes` times over. kAhead: bytes to prefetch ahead, or 0.
template <std::size_t kAhead, std::size_t... kVector>
HWY_INLINE float load_all(const std::byte* memory, std::size_t bytes, std::size_t passes,
                          std::index_sequence<kVector...>) {
  constexpr std::size_t kVectorBytes = kLanes * sizeof(float);
  constexpr std::size_t kStepBytes = sizeof...(kVector) * kVectorBytes;
  Vector sums[] = {(static_cast<void>(kVector), hn::Zero(Tag()))...};
  const std::byte* const end = memory + bytes;
  for (std::size_t pass = 0; pass < passes; ++pass) {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // the next pass loads again
    for (const std::byte* from = memory; from != end; from += kStepBytes) {
      if constexpr (kAhead != 0) {
        for (std::size_t i = 0; i < kStepBytes; i += kRowAlignment) {
          __builtin_prefetch(from + i + kAhead, 0, 2);
        }
      }
      const auto* const vectors = reinterpret_cast<const float*>(from);
      ((sums[kVector] = hn::Add(sums[kVector], hn::LoadU(Tag(), vectors + kVector * kLanes))), ...);
    }
  }
  return sum_of(sums);
}

float load_many(const std::byte* memory, std::size_t bytes, std::size_t passes) {
  return load_all<0>(memory, bytes, passes, ManyLoads());
}

float load_few(const std::byte* memory, std::size_t bytes, std::size_t passes) {
  return load_all<0>(memory, bytes, passes, FewLoads());
}

float read_dram(const std::byte* memory, std::size_t bytes, bool prefetched) {
  constexpr std::size_t kAhead = 2048;
  return prefetched ? load_all<kAhead>(memory, bytes, 1, ManyLoads())
                    : load_all<0>(memory, bytes, 1, ManyLoads());
}

/// Adds `terms` terms of the metric, in registers. Each difference is taken of the last, lest the
/// compiler find that they are all the same.
template <Metric kMetric, std::size_t... kTerm>
HWY_INLINE float compute_terms(float value, std::size_t terms, std::index_sequence<kTerm...>) {
  const Vector query = hn::Set(Tag(), value);
  Vector differences[kDifferences] = {query, query, query, query, query, query};
  Vector sums[kChains] = {query, query, query, query, query, query, query, query, query};
  const auto add_term = [&](Vector& difference, Vector& sum) HWY_ATTR {
    if constexpr (kMetric == Metric::kL2) {
      difference = hn::Sub(query, difference);
      sum = hn::MulAdd(difference, difference, sum);
    } else {
      sum = hn::NegMulAdd(query, difference, sum);
    }
  };
  for (std::size_t i = 0; i < terms; i += sizeof...(kTerm)) {
    (add_term(differences[kTerm % kDifferences], sums[kTerm % kChains]), ...);
  }
  return sum_of(sums);
}

float compute_l2(float value, std::size_t terms) {
  return compute_terms<Metric::kL2>(value, terms, Terms());
}

float compute_dot(float value, std::size_t terms) {
  return compute_terms<Metric::kDot>(value, terms, Terms());
}

std::size_t vector_bytes() {
  return kLanes * sizeof(float);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace engram::bench
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::bench {
namespace {

HWY_EXPORT(vector_bytes);
HWY_EXPORT(load_many);
HWY_EXPORT(load_few);
HWY_EXPORT(compute_l2);
HWY_EXPORT(compute_dot);
HWY_EXPORT(read_dram);

/// The seconds that the quickest of many runs takes: each is a fraction of a time slice.
template <class Run>
double quickest(Run&& run) {
  constexpr int kRuns = 100;
  using Clock = std::chrono::steady_clock;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

/// Measures the instruction set that HWY_DYNAMIC_DISPATCH chooses now.
VectorRates measure_chosen(double clock, const std::byte* memory) {
  constexpr std::size_t kL1Bytes = std::size_t{24} << 10;
  constexpr std::size_t kPasses = 50;
  constexpr std::size_t kTerms = 18'000;
  volatile float value = 0.5F;  // unknown to the compiler, as the results are
  volatile float sink = 0;

  VectorRates rates;
  rates.vector_bytes = HWY_DYNAMIC_DISPATCH(vector_bytes)();
  const double loads = static_cast<double>(kPasses * kL1Bytes / rates.vector_bytes);
  const double seconds =
      std::min(quickest([&] { sink = HWY_DYNAMIC_DISPATCH(load_many)(memory, kL1Bytes, kPasses); }),
               quickest([&] { sink = HWY_DYNAMIC_DISPATCH(load_few)(memory, kL1Bytes, kPasses); }));
  rates.loads = loads / clock / seconds;
  rates.l2_terms = double{kTerms} / clock /
                   quickest([&] { sink = HWY_DYNAMIC_DISPATCH(compute_l2)(value, kTerms); });
  rates.dot_terms = double{kTerms} / clock /
                    quickest([&] { sink = HWY_DYNAMIC_DISPATCH(compute_dot)(value, kTerms); });
  return rates;
}

/// Makes HWY_DYNAMIC_DISPATCH choose `target`, or the best if 0.
void choose(std::int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace

double VectorRates::cycles_per_vector(Metric metric) const noexcept {
  const double terms = metric == Metric::kL2 ? l2_terms : dot_terms;
  return std::max(1 / loads, 1 / terms);
}

double measure_clock() {
  constexpr int kAdditions = 20'000;
  const double seconds = quickest([] {
    std::uint64_t sum = 0;
    std::uint64_t one = 1;  // in a register: adding a constant may cost nothing
    for (int i = 0; i < kAdditions; i += 4) {
      for (int j = 0; j < 4; ++j) {
        asm volatile("" : "+r"(sum), "+r"(one));
        sum += one;
      }
    }
    asm volatile("" : "+r"(sum));
  });
  return kAdditions / seconds;
}

std::vector<VectorRates> measure_vector_rates(double clock, const std::byte* memory) {
  std::vector<VectorRates> all;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    choose(target);
    all.push_back(measure_chosen(clock, memory));
    all.back().kernel = kernels::target_name(target);
  }
  choose(0);
  return all;
}

std::vector<VectorRates> better_of(std::vector<VectorRates> a, const std::vector<VectorRates>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i].loads = std::max(a[i].loads, b[i].loads);
    a[i].l2_terms = std::max(a[i].l2_terms, b[i].l2_terms);
    a[i].dot_terms = std::max(a[i].dot_terms, b[i].dot_terms);
  }
  return a;
}

float read_all(const std::byte* memory, std::size_t bytes, bool prefetched) {
  return HWY_DYNAMIC_DISPATCH(read_dram)(memory, bytes, prefetched);
}

}  // namespace engram::bench
#endif  // HWY_ONCE
