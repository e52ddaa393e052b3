// SPDX-License-Identifier: Apache-2.0
// Builds a graph index with each library over the same rows and asks all of them the same queries,
// one at a time on one core. compare_graphs.py prepares the files and reads what this prints:
// one JSON object a line, {"building": ...} and {"round": ...} on the way, then a "build" and the
// "curve" of every system. With --paced it says {"ready": [round, ef]} before it measures them and
// waits for a line, so that something else can come between.
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "experiments/peers/machine.h"
#include "experiments/peers/system.h"

namespace engram::peers {
namespace {

struct Arguments {
  Setting setting;
  std::string metric = "l2";
  std::string rows;
  std::string queries;
  std::string truth;
  std::vector<std::string> systems;
  std::vector<std::size_t> efs;
  std::size_t k = 10;
  std::vector<std::size_t> threads = {2};
  std::size_t rounds = 5;
  int core = 0;
  double enough_recall = 0.995;
  bool paced = false;
};

/// Resident bytes of this process, without those that the allocator keeps for later: what one index
/// leaves there would be missing from the bytes of the next.
std::size_t resident_bytes() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::unique_ptr<System> make_system(const std::string& name, const Setting& setting) {
  if (name == "engram") return make_engram(setting, "f32", "f32");
  for (const std::string quant : {"sq8", "sq4", "bin"}) {
    if (name == "engram-" + quant) return make_engram(setting, quant, "f32");
    if (name == "engram-" + quant + "-only") return make_engram(setting, quant, "none");
  }
  for (const std::string bits : {"1", "2", "3", "4"}) {
    if (name == "engram-qg" + bits) return make_engram_qg(setting, bits);
  }
  if (name == "hnswlib") return make_hnswlib(setting);
  if (name == "faiss") return make_faiss(setting);
  throw std::runtime_error("unknown system " + name);
}

/// What a system showed at one ef.
struct Point {
  double recall = 0;
  std::vector<double> qps;     // one a round
  std::vector<double> p50_us;  // one a round
};

/// One system, what it cost to build, and what it showed at every ef that was measured.
struct Contender {
  std::string name;
  std::unique_ptr<System> system;
  std::vector<double> build_seconds;  // one a count of threads
  std::size_t bytes = 0;
  std::map<std::size_t, Point> points;  // by ef
};

/// The middle one, or the upper of the two in the middle. values: not empty.
double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Appends an item to a list as JSON has it.
void append(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : ", ") + item;
}

std::string joined(const std::vector<double>& values) {
  std::string list;
  for (const double each : values) append(list, std::to_string(each));
  return list;
}

class Comparison {
 public:
  explicit Comparison(const Arguments& arguments)
      : arguments_(arguments),
        rows_(read_file<float>(arguments.rows)),
        queries_(read_file<float>(arguments.queries)),
        truth_(read_file<std::uint32_t>(arguments.truth)),
        count_(queries_.size() / arguments.setting.dim),
        answers_(count_ * arguments.k) {
    if (truth_.size() != answers_.size()) throw std::runtime_error("truth has not k rows a query");
  }

  void run() {
    for (const std::string& name : arguments_.systems) build(name);
    pin_to(arguments_.core);
    for (std::size_t round = 0; round < arguments_.rounds; ++round) {
      for (const std::size_t ef : arguments_.efs) {
        if (arguments_.paced) wait_for_turn(round, ef);
        // Whoever was first in the last round is last in this one.
        for (std::size_t i = 0; i < contenders_.size(); ++i) {
          measure(contenders_[(i + round) % contenders_.size()], ef, round);
        }
        say("{\"round\": %zu, \"ef\": %zu}\n", round, ef);
      }
    }
    for (const Contender& contender : contenders_) report(contender);
  }

 private:
  static void wait_for_turn(std::size_t round, std::size_t ef) {
    say("{\"ready\": [%zu, %zu]}\n", round, ef);
    std::string line;
    if (!std::getline(std::cin, line)) throw std::runtime_error("nobody says when to go on");
  }

  void build(const std::string& name) {
    Contender contender;
    contender.name = name;
    for (const std::size_t threads : arguments_.threads) {
      say("{\"building\": \"%s\", \"threads\": %zu}\n", name.c_str(), threads);
      contender.system.reset();
      const std::size_t before = resident_bytes();
      const auto start = Clock::now();
      contender.system = make_system(name, arguments_.setting);
      contender.system->build(rows_, threads);
      contender.build_seconds.push_back(seconds_since(start));
      contender.bytes = resident_bytes() - before;
    }
    contenders_.push_back(std::move(contender));
  }

  /// The first round finds out where a curve ends: beyond enough_recall it is not followed.
  void measure(Contender& contender, std::size_t ef, std::size_t round) {
    if (round == 0 && !contender.points.empty() &&
        contender.points.rbegin()->second.recall > arguments_.enough_recall) {
      return;
    }
    if (round > 0 && !contender.points.contains(ef)) return;
    Point& point = contender.points[ef];
    const std::size_t dim = arguments_.setting.dim;
    const std::span<const float> queries(queries_);
    const std::span<std::uint32_t> answers(answers_);
    std::vector<double> micros;
    micros.reserve(count_);
    const auto start = Clock::now();
    auto before = start;
    for (std::size_t i = 0; i < count_; ++i) {
      contender.system->search(queries.subspan(i * dim, dim), ef,
                               answers.subspan(i * arguments_.k, arguments_.k));
      const auto after = Clock::now();
      micros.push_back(std::chrono::duration<double, std::micro>(after - before).count());
      before = after;
    }
    point.qps.push_back(static_cast<double>(count_) / seconds_since(start));
    point.p50_us.push_back(median(std::move(micros)));
    point.recall = recall();
  }

  double recall() const {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const auto truth = truth_.begin() + static_cast<std::ptrdiff_t>(i * arguments_.k);
      const auto truth_end = truth + static_cast<std::ptrdiff_t>(arguments_.k);
      for (std::size_t j = 0; j < arguments_.k; ++j) {
        if (std::find(truth, truth_end, answers_[i * arguments_.k + j]) != truth_end) ++found;
      }
    }
    return static_cast<double>(found) / static_cast<double>(answers_.size());
  }

  void report(const Contender& contender) const {
    std::string builds;
    for (std::size_t i = 0; i < arguments_.threads.size(); ++i) {
      append(builds, "\"" + std::to_string(arguments_.threads[i]) +
                         "\": " + std::to_string(contender.build_seconds[i]));
    }
    say("{\"build\": {\"system\": \"%s\", \"seconds\": {%s}, \"bytes\": %zu}}\n",
        contender.name.c_str(), builds.c_str(), contender.bytes);
    for (const auto& [ef, point] : contender.points) {
      say("{\"curve\": {\"system\": \"%s\", \"ef\": %zu, \"recall\": %.6f, \"qps\": [%s], "
          "\"p50_us\": [%s]}}\n",
          contender.name.c_str(), ef, point.recall, joined(point.qps).c_str(),
          joined(point.p50_us).c_str());
    }
  }

  const Arguments arguments_;
  const std::vector<float> rows_;
  const std::vector<float> queries_;
  const std::vector<std::uint32_t> truth_;
  const std::size_t count_;
  std::vector<std::uint32_t> answers_;
  std::vector<Contender> contenders_;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Compares graph indexes of several libraries; see compare_graphs.py");
  app.add_option("--rows", arguments.rows, "[n][dim] float32")->required();
  app.add_option("--queries", arguments.queries, "[q][dim] float32")->required();
  app.add_option("--truth", arguments.truth, "[q][k] uint32, the rows that are right")->required();
  app.add_option("--dim", arguments.setting.dim)->required();
  app.add_option("--metric", arguments.metric)->check(CLI::IsMember({"l2", "cosine"}));
  app.add_option("--m", arguments.setting.m);
  app.add_option("--ef-construction", arguments.setting.ef_construction);
  app.add_option("--system", arguments.systems, "may be repeated")->required();
  app.add_option("--ef", arguments.efs, "may be repeated")->required();
  app.add_option("-k", arguments.k);
  app.add_option("--threads", arguments.threads,
                 "that build; may be repeated: each system is built with each count, and the index "
                 "built last is searched");
  app.add_option("--rounds", arguments.rounds);
  app.add_option("--core", arguments.core, "that searches");
  app.add_option("--enough-recall", arguments.enough_recall,
                 "beyond which a curve is not followed");
  app.add_flag("--paced", arguments.paced, "wait for a line before each ef of a round");
  parse_or_exit(app, argc, argv);
  arguments.setting.metric = arguments.metric == "l2" ? Metric::kL2 : Metric::kCosine;
  return arguments;
}

}  // namespace
}  // namespace engram::peers

int main(int argc, char** argv) {
  using namespace engram::peers;
  return run_main("compare_graphs", [&] { Comparison(parse(argc, argv)).run(); });
}
