// SPDX-License-Identifier: Apache-2.0
// Asks libraries for the true nearest of the same queries, as one batch and one at a time, on one
// thread of one core. compare_exact.py prepares the files and reads what this prints: one JSON
// object a line, {"adding": ...} and {"round": ...} on the way, then a "way" for every library and
// form of asking.
#include <CLI/CLI.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "experiments/peers/exact_system.h"
#include "experiments/peers/machine.h"

namespace engram::peers {
namespace {

struct Arguments {
  std::string metric = "l2";
  std::string rows;
  std::string queries;
  std::size_t dim = 0;
  std::size_t singles = 100;
  std::size_t k = 10;
  std::size_t rounds = 5;
  int core = 0;
};

/// A library asked in one form: `batch` queries in each call, `queries` in all.
struct Way {
  std::string name;
  ExactSystem* system;
  std::size_t batch;
  std::size_t queries;
  std::vector<std::uint32_t> answers;  // [queries][k]
  std::vector<double> seconds;         // one a round
};

class Comparison {
 public:
  explicit Comparison(const Arguments& arguments)
      : arguments_(arguments),
        metric_(arguments.metric == "l2" ? Metric::kL2 : Metric::kCosine),
        rows_(read_file<float>(arguments.rows)),
        queries_(read_file<float>(arguments.queries)) {}

  void run() {
    pin_to(arguments_.core);
    const auto engram = make_exact_engram(metric_, arguments_.dim);
    const auto faiss = make_exact_faiss(metric_, arguments_.dim);
    add("engram", *engram);
    add("faiss", *faiss);
    for (std::size_t round = 0; round < arguments_.rounds; ++round) {
      // Whoever was first in the last round is last in this one.
      for (std::size_t i = 0; i < ways_.size(); ++i) measure(ways_[(i + round) % ways_.size()]);
      say("{\"round\": %zu}\n", round);
    }
    for (const Way& way : ways_) report(way);
  }

 private:
  void add(const std::string& name, ExactSystem& system) {
    say("{\"adding\": \"%s\"}\n", name.c_str());
    system.add(rows_);
    const std::size_t count = queries_.size() / arguments_.dim;
    const std::size_t singles = std::min(arguments_.singles, count);
    ways_.push_back({name, &system, count, count, {}, {}});
    ways_.push_back({name, &system, 1, singles, {}, {}});
  }

  void measure(Way& way) {
    const std::size_t dim = arguments_.dim;
    const std::size_t k = arguments_.k;
    way.answers.resize(way.queries * k);
    const std::span<const float> queries(queries_);
    const std::span<std::uint32_t> answers(way.answers);
    const auto start = Clock::now();
    for (std::size_t i = 0; i < way.queries; i += way.batch) {
      way.system->search(queries.subspan(i * dim, way.batch * dim), k,
                         answers.subspan(i * k, way.batch * k));
    }
    way.seconds.push_back(seconds_since(start));
  }

  double distance(std::size_t query, std::size_t row) const {
    double squares = 0;
    double product = 0;
    for (std::size_t d = 0; d < arguments_.dim; ++d) {
      const double q{queries_[query * arguments_.dim + d]};
      const double x{rows_[row * arguments_.dim + d]};
      squares += (q - x) * (q - x);
      product += q * x;
    }
    return metric_ == Metric::kL2 ? std::sqrt(squares) : 1 - product;
  }

  /// Whether two answers are the same but for rounding.
  bool agree(std::size_t query, std::uint32_t a, std::uint32_t b) const {
    const std::size_t rows = rows_.size() / arguments_.dim;
    if (a == b || a >= rows || b >= rows) return a == b;
    const double first = distance(query, a);
    return std::abs(first - distance(query, b)) <= 1e-5 * first;
  }

  /// Every way is held to the first one.
  void report(const Way& way) const {
    std::size_t swapped = 0;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < way.answers.size(); ++i) {
      const std::uint32_t expected = ways_.front().answers[i];
      if (way.answers[i] == expected) continue;
      ++(agree(i / arguments_.k, expected, way.answers[i]) ? swapped : wrong);
    }
    std::string rates;
    for (const double each : way.seconds) {
      rates +=
          (rates.empty() ? "" : ", ") + std::to_string(static_cast<double>(way.queries) / each);
    }
    say("{\"way\": {\"system\": \"%s\", \"batch\": %zu, \"swapped\": %zu, \"wrong\": %zu, "
        "\"qps\": [%s]}}\n",
        way.name.c_str(), way.batch, swapped, wrong, rates.c_str());
  }

  const Arguments arguments_;
  const Metric metric_;
  const std::vector<float> rows_;
  const std::vector<float> queries_;
  std::vector<Way> ways_;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Compares exact search of several libraries; see compare_exact.py");
  app.add_option("--rows", arguments.rows, "[n][dim] float32")->required();
  app.add_option("--queries", arguments.queries, "[q][dim] float32")->required();
  app.add_option("--dim", arguments.dim)->required();
  app.add_option("--metric", arguments.metric)->check(CLI::IsMember({"l2", "cosine"}));
  app.add_option("--singles", arguments.singles, "queries that are asked one at a time");
  app.add_option("-k", arguments.k);
  app.add_option("--rounds", arguments.rounds);
  app.add_option("--core", arguments.core, "that searches");
  parse_or_exit(app, argc, argv);
  return arguments;
}

}  // namespace
}  // namespace engram::peers

int main(int argc, char** argv) {
  using namespace engram::peers;
  return run_main("compare_exact", [&] { Comparison(parse(argc, argv)).run(); });
}
