// SPDX-License-Identifier: Apache-2.0
// What a step of associative recall costs beside the least that it could: reading every row once to
// weigh it, and those that have a weight once more to sum them.
//
// By turns, and the median counts: a core reads all rows; recalls without a step, which weighs all
// items once; and recalls with one step, which weighs them twice and sums them once. The difference
// of the last two is a step. A share is that of the bandwidth of the plain reading.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/registry.h"
#include "core/text.h"
#include "experiments/core_rates.h"
#include "experiments/peers/engram_index.h"
#include "experiments/peers/machine.h"

namespace engram::bench {
namespace {

struct Arguments {
  std::size_t items = 10'000;
  std::size_t dim = 784;
  std::size_t rounds = 101;
  std::uint64_t seed = 42;
  std::vector<double> betas = {0, 1};
  int core = 0;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

template <class Work>
double seconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// An index of random items, tuned.
class TunedIndex {
 public:
  explicit TunedIndex(const Arguments& arguments)
      : random_(arguments.seed),
        hopfield_(peers::make_engram_index("hopfield", Metric::kL2, arguments.dim,
                                           std::vector<OptionText>{{"GRAPH", "none"}})) {
    for (std::size_t i = 0; i < arguments.items; ++i) {
      const Slot slot = *hopfield_.store->allocate();
      hopfield_.store->write(slot, draw());
      if (!hopfield_.index->insert({slot, slot}, scratch_)) std::abort();
    }
    const auto survey = hopfield_.index->recaller()->survey({.sample = 32}).value();
    while (survey->step(scratch_)) {
    }
    hopfield_.index->recaller()->adopt(survey->tuning().value());
    cue_ = draw();
  }

  /// One recall of as many steps. beta: 0 is what was tuned.
  Recall recall(double beta, const char* steps, std::size_t top = 10) {
    const std::string text = number_text(beta);
    const std::vector<OptionText> given = {{"BETA", text}, {"STEPS", steps}, {"TOL", "0"}};
    const Options options =
        Options::parse((*find_primitive("hopfield"))->recall_options, given).value();
    Recall recall;
    const Status status = hopfield_.index->recaller()->recall(
        {.vector = cue_}, {.options = &options, .top = top}, scratch_, recall);
    if (!status) std::abort();
    return recall;
  }

  /// Reads all rows.
  float read() const {
    const VectorStore& store = *hopfield_.store;
    float sum = 0;
    for (Slot slot = 0; slot < store.slot_end();) {
      const std::size_t count =
          std::min<std::size_t>(store.run_length(slot), store.slot_end() - slot);
      const std::size_t bytes = count * store.row_bytes() / 1024 * 1024;
      sum += read_all(store.row(slot), bytes, true);
      slot += static_cast<Slot>(count);
    }
    return sum;
  }

 private:
  std::vector<float> draw() {
    std::normal_distribution<float> normal;
    std::vector<float> vector(hopfield_.store->dim());
    for (float& value : vector) value = normal(random_);
    return vector;
  }

  std::mt19937_64 random_;
  OwnedIndex hopfield_;
  Scratch scratch_;
  std::vector<float> cue_;
};

void measure(TunedIndex& memory, const Arguments& arguments, double beta) {
  std::vector<double> reads;
  std::vector<double> weighings;
  std::vector<double> steps;
  volatile float sink = 0;
  Recall recall;
  for (std::size_t round = 0; round < arguments.rounds; ++round) {
    reads.push_back(seconds([&] { sink = sink + memory.read(); }));
    const double without = seconds([&] { recall = memory.recall(beta, "0"); });
    weighings.push_back(without);
    steps.push_back(seconds([&] { recall = memory.recall(beta, "1"); }) - without);
  }
  const double read = median(reads);
  const double weighing = median(weighings);
  const double step = median(steps);
  const auto support = memory.recall(beta, "0", arguments.items).support;
  const double weighed = static_cast<double>(support.size());
  const double again = weighed / static_cast<double>(arguments.items);
  std::printf("%12.4g%12.0f%12.3f%12.3f%10.0f %%%12.3f%10.0f %%\n", recall.beta, weighed,
              read * 1e3, weighing * 1e3, 100 * read / weighing, step * 1e3,
              100 * (1 + again) * read / step);
}

void run(const Arguments& arguments) {
  peers::pin_to(arguments.core);
  TunedIndex memory(arguments);
  std::printf("%zu items of %zu dimensions, softmax, l2, seed %llu, median of %zu\n",
              arguments.items, arguments.dim, static_cast<unsigned long long>(arguments.seed),
              arguments.rounds);
  std::printf("%12s%12s%12s%12s%12s%12s%12s\n", "beta", "weighed", "read ms", "weigh ms", "share",
              "step ms", "share");
  for (const double beta : arguments.betas) measure(memory, arguments, beta);
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Prices a step of recall beside one reading of all rows.");
  app.add_option("--items", arguments.items, "default 10000");
  app.add_option("--dim", arguments.dim, "default 784");
  app.add_option("--beta", arguments.betas, "0 is what VTUNE finds (default 0 1)");
  app.add_option("--rounds", arguments.rounds, "median of so many (default 101)");
  app.add_option("--seed", arguments.seed, "of the items (default 42)");
  app.add_option("--core", arguments.core, "default 0");
  peers::parse_or_exit(app, argc, argv);
  return arguments;
}

}  // namespace
}  // namespace engram::bench

int main(int argc, char** argv) {
  using namespace engram;
  return peers::run_main("recall_bench", [&] { bench::run(bench::parse(argc, argv)); });
}
