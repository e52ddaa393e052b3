// SPDX-License-Identifier: Apache-2.0
// Searches hnsw among the items that a filter accepts, one at a time on one core, beside what one
// can do without: search for more and drop what is not accepted, or scan what is. filtered.py
// prepares the files and reads what this prints, a JSON object a line.
//
// A filter accepts a window of ranks: items have a rank in [0, 1) by each attribute, and so have
// queries. It lies around the query's own rank, or opposite.
//
// With --members it searches within radii instead, each query's own: that within which so many lie.
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/exact_scan.h"
#include "core/hash.h"
#include "core/make_index.h"
#include "core/registry.h"

namespace engram {
namespace {

struct Arguments {
  std::string folder;
  std::string metric = "l2";
  std::string quant = "f32";
  std::size_t dim = 0;
  std::size_t k = 10;
  std::size_t rounds = 3;
  std::vector<std::size_t> efs;
  std::vector<double> shares;
  std::vector<std::string> attributes;
  std::vector<std::size_t> members;
  double enough_recall = 0.998;
};

std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<float> values(static_cast<std::size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

/// Of this thread, so that others on the machine do not count.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Ranks in [begin, begin + width), where 1 is 0 again.
class Window final : public ItemFilter {
 public:
  Window(const std::vector<float>& ranks, float begin, float width)
      : ranks_(ranks), begin_(begin), width_(width) {}

  bool accepts(Slot slot) const noexcept override { return contains(ranks_[slot]) != 0; }
  void select(std::span<const Slot> slots, std::span<bool> accepted) const noexcept override {
    for (std::size_t i = 0; i < slots.size(); ++i) accepted[i] = contains(ranks_[slots[i]]) != 0;
  }
  std::uint64_t select_word(Slot first, std::uint64_t asked) const noexcept override {
    if (first + 64 > ranks_.size()) return ItemFilter::select_word(first, asked);
    std::uint8_t accepted[64];
    for (std::size_t i = 0; i < 64; ++i) accepted[i] = contains(ranks_[first + i]);
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 64; i += 8) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, accepted + i, sizeof(bytes));
      word |= (bytes * 0x0102040810204080U >> 56) << i;  // a bit of each
    }
    return word & asked;
  }

 private:
  std::uint8_t contains(float rank) const noexcept {
    const float offset = rank - begin_;
    return offset + static_cast<float>(offset < 0) < width_ ? 1 : 0;
  }

  const std::vector<float>& ranks_;
  const float begin_;
  const float width_;
};

/// One way to answer, at one setting.
struct Point {
  std::size_t effort = 0;
  double recall = 0;
  double complete = 0;  // the share of searches with as many answers as there are, up to k
  double us = 0;        // see LeastTimes
};

/// What queries take: the mean of each one's least time over the rounds. Whoever shares the memory
/// slows down some of the rounds, seldom all.
class LeastTimes {
 public:
  explicit LeastTimes(std::size_t queries)
      : least_(queries, std::numeric_limits<double>::infinity()) {}

  /// Runs `work` for a query.
  template <class Work>
  void time(std::size_t query, Work&& work) {
    const double began = cpu_seconds();
    work();
    least_[query] = std::min(least_[query], cpu_seconds() - began);
  }
  double mean_us() const {
    const double sum = std::accumulate(least_.begin(), least_.end(), 0.0);
    return sum / static_cast<double>(least_.size()) * 1e6;
  }

 private:
  std::vector<double> least_;
};

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : arguments_(arguments),
        rows_(read_floats(arguments.folder + "/rows")),
        queries_(read_floats(arguments.folder + "/queries")),
        count_(queries_.size() / arguments.dim) {
    const Primitive* const hnsw = find_primitive("hnsw").value();
    const std::vector<OptionText> options = {{"QUANT", arguments.quant}};
    made_ = make_index({.dim = arguments.dim,
                        .metric = metric_from_name(arguments.metric).value(),
                        .primitive = hnsw,
                        .options = Options::parse(hnsw->create_options, options).value()})
                .value();
    found_.resize(count_);
    build();
  }

  void run() {
    for (const std::size_t members : arguments_.members) run_radius(members);
    for (const std::string& attribute : arguments_.attributes) {
      ranks_ = read_floats(arguments_.folder + "/" + attribute + ".items");
      asked_ = read_floats(arguments_.folder + "/" + attribute + ".queries");
      for (const bool against : {false, true}) {
        for (const double share : arguments_.shares) run_case(attribute, against, share);
      }
    }
  }

 private:
  void build() {
    const std::size_t rows = rows_.size() / arguments_.dim;
    for (std::size_t i = 0; i < rows; ++i) {
      made_.store->write(made_.store->allocate().value(),
                         {rows_.data() + i * arguments_.dim, arguments_.dim});
      held_.insert(static_cast<Slot>(i)).value();
    }
    std::atomic<std::size_t> next{0};
    const auto insert = [&] {
      Scratch scratch;
      for (std::size_t i = next++; i < rows; i = next++) {
        const auto slot = static_cast<Slot>(i);
        must(made_.index->insert({slot, mix(i), i + 1}, scratch));
      }
    };
    std::thread other(insert);
    insert();
    other.join();
    std::printf("{\"built\": %zu}\n", rows);
    std::fflush(stdout);
  }

  Query prepare(std::size_t i) {
    return made_.kernel->prepare({queries_.data() + i * arguments_.dim, arguments_.dim}, buffer_);
  }

  void run_case(const std::string& attribute, bool against, double share) {
    filters_.clear();
    for (const float rank : asked_) {
      float begin = rank + (against ? 0.5F : 0.0F) - static_cast<float>(share) / 2;
      begin -= std::floor(begin);
      filters_.emplace_back(ranks_, begin, share >= 1 ? 2.0F : static_cast<float>(share));
    }
    const double scan_us = scan();
    std::printf(
        "{\"case\": {\"attribute\": \"%s\", \"against\": %s, \"share\": %g, \"scan_us\": %.1f",
        attribute.c_str(), against ? "true" : "false", share, scan_us);
    const auto matches = static_cast<std::size_t>(share * static_cast<double>(ranks_.size()));
    std::vector<Point> planned;
    for (const std::size_t ef : arguments_.efs) {
      planned.push_back(measure(ef, [&](std::size_t i, std::vector<Hit>& hits) {
        must(made_.index->search(
            prepare(i), {.k = arguments_.k, .ef = ef, .items = &filters_[i], .matches = matches},
            scratch_, hits));
      }));
    }
    print("planned", planned);
    std::vector<Point> post;
    for (double more = 0.8; post.size() < 24; more *= 1.25) {
      const double wanted = std::ceil(more * static_cast<double>(arguments_.k) / share);
      const auto asked = static_cast<std::size_t>(std::min(wanted, double(ranks_.size())));
      post.push_back(measure(asked, [&](std::size_t i, std::vector<Hit>& hits) {
        must(made_.index->search(prepare(i), {.k = asked, .ef = asked}, scratch_, all_));
        hits.clear();
        for (const Hit& hit : all_) {
          if (hits.size() < arguments_.k && filters_[i].accepts(hit.slot)) hits.push_back(hit);
        }
      }));
      if (post.back().recall >= arguments_.enough_recall || post.back().us > 4 * scan_us) break;
    }
    print("post", post);
    std::printf("}}\n");
    std::fflush(stdout);
  }

  /// Searches at each EF, 0 being the index's own, within radii that have so many members.
  void run_radius(std::size_t members) {
    std::vector<float> radii;
    truth_.assign(count_, {});
    for (std::size_t i = 0; i < count_; ++i) {
      const Bound bound(*made_.kernel, prepare(i), *made_.store);
      scan_nearest(bound, held_, {.k = members}, truth_[i]);
      radii.push_back(truth_[i].back().score);
    }
    for (const std::size_t ef : arguments_.efs) {
      SearchEffort effort;
      const Point point = measure(ef, [&](std::size_t i, std::vector<Hit>& hits) {
        must(made_.index->search(
            prepare(i), {.k = held_.size(), .ef = ef, .max_score = radii[i], .effort = &effort},
            scratch_, hits));
      });
      const auto searches = static_cast<double>(count_ * arguments_.rounds);
      std::printf(
          "{\"radius\": {\"members\": %zu, \"ef\": %zu, \"recall\": %.5f, \"us\": %.1f, "
          "\"visited\": %.0f, \"scored\": %.0f}}\n",
          members, ef, point.recall, point.us, static_cast<double>(effort.visited) / searches,
          static_cast<double>(effort.scored) / searches);
      std::fflush(stdout);
    }
  }

  /// The right answers, and what they take.
  double scan() {
    truth_.assign(count_, {});
    LeastTimes times(count_);
    for (std::size_t round = 0; round < arguments_.rounds; ++round) {
      for (std::size_t i = 0; i < count_; ++i) {
        times.time(i, [&] {
          const Bound bound(*made_.kernel, prepare(i), *made_.store);
          scan_nearest(bound, held_, {.k = arguments_.k, .items = &filters_[i]}, truth_[i]);
        });
      }
    }
    return times.mean_us();
  }

  template <class Search>
  Point measure(std::size_t effort, Search&& search) {
    LeastTimes times(count_);
    for (std::size_t round = 0; round < arguments_.rounds; ++round) {
      for (std::size_t i = 0; i < count_; ++i) {
        times.time(i, [&] { search(i, found_[i]); });
      }
    }
    std::size_t right = 0;
    std::size_t wanted = 0;
    std::size_t complete = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const std::vector<Hit>& found = found_[i];
      wanted += truth_[i].size();
      complete += static_cast<std::size_t>(found.size() == truth_[i].size());
      for (const Hit& hit : truth_[i]) {
        right +=
            static_cast<std::size_t>(std::find(found.begin(), found.end(), hit) != found.end());
      }
    }
    return {effort,
            static_cast<double>(right) / static_cast<double>(std::max<std::size_t>(wanted, 1)),
            static_cast<double>(complete) / static_cast<double>(count_), times.mean_us()};
  }

  static void print(const char* name, const std::vector<Point>& points) {
    std::printf(", \"%s\": [", name);
    for (const Point& point : points) {
      std::printf("%s{\"effort\": %zu, \"recall\": %.5f, \"complete\": %.4f, \"us\": %.1f}",
                  &point == points.data() ? "" : ", ", point.effort, point.recall, point.complete,
                  point.us);
    }
    std::printf("]");
  }

  static void must(const Status& status) {
    if (!status) throw std::runtime_error(status.error().message);
  }

  const Arguments arguments_;
  const std::vector<float> rows_;
  const std::vector<float> queries_;
  const std::size_t count_;
  OwnedIndex made_;
  SlotSet held_;
  Scratch scratch_;
  AlignedBuffer buffer_;
  std::vector<float> ranks_;
  std::vector<float> asked_;
  std::vector<Window> filters_;
  std::vector<std::vector<Hit>> truth_;
  std::vector<std::vector<Hit>> found_;
  std::vector<Hit> all_;
};

int run(int argc, char** argv) {
  CLI::App app{"Searches hnsw with filters"};
  Arguments arguments;
  app.add_option("--folder", arguments.folder)->required();
  app.add_option("--metric", arguments.metric);
  app.add_option("--quant", arguments.quant);
  app.add_option("--dim", arguments.dim)->required();
  app.add_option("-k", arguments.k);
  app.add_option("--rounds", arguments.rounds);
  app.add_option("--ef", arguments.efs)->required();
  app.add_option("--share", arguments.shares);
  app.add_option("--attribute", arguments.attributes);
  app.add_option("--members", arguments.members);
  app.add_option("--enough-recall", arguments.enough_recall);
  CLI11_PARSE(app, argc, argv);
  try {
    Bench(arguments).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "filtered: %s\n", error.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace engram

int main(int argc, char** argv) {
  return engram::run(argc, argv);
}
