// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/separation/separation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "primitives/shared/weights/support.h"
#include "tests/support/rows.h"
#include "tests/support/seed.h"

namespace engram::separation_test {
namespace {

using test::same_bits;
using Values = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A separation with its parameter, if it has one.
struct Rule {
  std::string_view name;
  std::vector<double> parameters = {};
  std::shared_ptr<const Separation> separation = find_separation(name)->make(parameters);
};
using Rules = std::vector<Rule>;

Rule plain_softmax() {
  return Rule{"softmax"};
}
Rule sparsemax() {
  return Rule{"sparsemax"};
}
Rule entmax15() {
  return Rule{"entmax15"};
}
Rule entmax(double alpha) {
  return Rule{"entmax", {alpha}};
}
Rule top(double k) {
  return Rule{"topk", {k}};
}

/// Every separation of the program, with its parameters at their defaults.
Rules registered() {
  Rules rules;
  for (const SeparationSpec* const spec : separations()) {
    std::vector<double> parameters;
    for (const OptionSpec& option : spec->options) parameters.push_back(option.default_number);
    rules.push_back({spec->name, parameters});
  }
  return rules;
}

/// Those whose W regulariser() knows.
Rules with_known_w() {
  return {plain_softmax(), sparsemax(), entmax15(),  entmax(1.1),    entmax(1.5),
          entmax(2.0),     entmax(2.5), entmax(4.0), Rule{"normmax"}};
}

/// More parameters than the defaults, and then whatever is registered.
Rules all() {
  Rules rules{entmax(1.1), entmax(1.7), entmax(2.5), entmax(4.0), top(1), top(3), top(100)};
  for (Rule& rule : registered()) rules.push_back(std::move(rule));
  return rules;
}

/// Those of all() that can be one-hot by a margin.
Rules sparse() {
  Rules rules = all();
  std::erase_if(rules, [](const Rule& rule) {
    const double margin = rule.separation->margin();
    return margin == 0 || margin == kInfinity;
  });
  auto rng = test::make_rng(80);
  for (int i = 0; i < 8; ++i) {
    rules.push_back(entmax(std::uniform_real_distribution<double>(1.01, 4)(rng)));
  }
  return rules;
}

struct Answer {
  Values weights;
  double conjugate;
};

Answer separated(const Rule& rule, const Values& logits) {
  SeparationBuffers buffers;
  Answer answer{Values(logits.size(), -1), 0};
  answer.conjugate = rule.separation->separate(logits, answer.weights, buffers);
  return answer;
}

/// Normal logits of a random scale, so that supports of all sizes occur.
Values random_logits(std::mt19937_64& rng, std::size_t count) {
  const double scale = std::exp2(std::uniform_real_distribution<double>(-4, 6)(rng));
  std::normal_distribution<double> normal(0, scale);
  Values logits(count);
  for (double& logit : logits) logit = normal(rng);
  return logits;
}

/// On the simplex: uniform there, or on the face of a few of its corners.
Values random_weights(std::mt19937_64& rng, std::size_t count) {
  std::exponential_distribution<double> exponential;
  Values weights(count);
  for (double& weight : weights) weight = rng() % 3 == 0 ? 0 : exponential(rng);
  weights[rng() % count] += 0.1;
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return weights;
}

double dot(const Values& a, const Values& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// W(p), from its definition.
double regulariser(const Rule& rule, const Values& p) {
  if (rule.name == "softmax") return -recall::entropy(p);
  if (rule.name == "normmax") return std::sqrt(dot(p, p)) - 1;
  const double alpha = rule.name == "sparsemax"  ? 2
                       : rule.name == "entmax15" ? 1.5
                                                 : rule.parameters[0];
  double powers = 0;
  for (const double weight : p) powers += std::pow(weight, alpha);
  return (powers - 1) / (alpha * (alpha - 1));
}

/// Calls check(rule, logits, rng) for many problems.
template <class Check>
void for_each_problem(std::uint64_t stream, const Rules& rules, Check&& check) {
  auto rng = test::make_rng(stream);
  for (int round = 0; round < 200; ++round) {
    for (const Rule& rule : rules) {
      const Values logits = random_logits(rng, 1 + rng() % 40);
      CAPTURE(std::string(rule.name));
      CAPTURE(rule.parameters.empty() ? 0 : rule.parameters[0]);
      CAPTURE(logits.size());
      check(rule, logits, rng);
    }
  }
}

void check_close(const Values& a, const Values& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  CHECK(worst <= tolerance);
}

TEST_CASE("primitives/separation: weights lie on the simplex") {
  for_each_problem(81, all(), [](const Rule& rule, const Values& logits, auto&) {
    const Values p = separated(rule, logits).weights;
    CHECK(*std::min_element(p.begin(), p.end()) >= 0);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    CHECK(std::abs(sum - 1) <= static_cast<double>(p.size()) * 0x1p-52);
  });
}

/// The slack of W*, which is a sum of numbers as large as the logits: some roundings of the
/// largest.
double slack(const Values& logits) {
  double largest = 1;
  for (const double logit : logits) largest = std::max(largest, std::abs(logit));
  return 1e-13 * largest;
}

TEST_CASE("primitives/separation: W* is the maximum of p.l - W(p), and the weights attain it") {
  for_each_problem(82, with_known_w(), [](const Rule& rule, const Values& logits, auto& rng) {
    const Answer answer = separated(rule, logits);
    const double attained = dot(answer.weights, logits) - regulariser(rule, answer.weights);
    CHECK(std::abs(answer.conjugate - attained) <= slack(logits));
    for (int i = 0; i < 20; ++i) {
      Values p = random_weights(rng, logits.size());
      CHECK(dot(p, logits) - regulariser(rule, p) <= answer.conjugate + slack(logits));
      // Close to the answer, too.
      for (std::size_t j = 0; j < p.size(); ++j) p[j] = 0.01 * p[j] + 0.99 * answer.weights[j];
      CHECK(dot(p, logits) - regulariser(rule, p) <= answer.conjugate + slack(logits));
    }
  });
}

TEST_CASE("primitives/separation: weights are the gradient of W*, which is convex") {
  for_each_problem(83, all(), [](const Rule& rule, const Values& logits, auto& rng) {
    const Answer here = separated(rule, logits);
    for (const double scale : {1.0, 1e-3}) {
      Values moved = logits;
      Values step = random_logits(rng, logits.size());
      for (std::size_t i = 0; i < step.size(); ++i) {
        step[i] *= scale;
        moved[i] += step[i];
      }
      // Convexity from both ends, which holds the difference between two slopes.
      const Answer there = separated(rule, moved);
      const double rise = there.conjugate - here.conjugate;
      const double tolerance = slack(logits) + slack(moved);
      CHECK(rise >= dot(here.weights, step) - tolerance);
      CHECK(rise <= dot(there.weights, step) + tolerance);
    }
  });
}

TEST_CASE("primitives/separation: finite differences of W* are the weights") {
  // Where weights are Lipschitz in the logits (alpha <= 2): with a constant of at most 1, the error
  // of the central difference is at most the step; rounding adds slack / step.
  const Rules smooth{plain_softmax(), sparsemax(), entmax15(), entmax(1.1), entmax(1.8)};
  constexpr double kStep = 1e-5;
  for_each_problem(84, smooth, [](const Rule& rule, const Values& logits, auto& rng) {
    const Values p = separated(rule, logits).weights;
    const std::size_t i = rng() % logits.size();
    Values up = logits;
    Values down = logits;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope =
        (separated(rule, up).conjugate - separated(rule, down).conjugate) / (up[i] - down[i]);
    CHECK(std::abs(slope - p[i]) <= kStep + slack(logits) / kStep);
  });
}

TEST_CASE("primitives/separation: shifted logits have the same weights and a shifted W*") {
  for_each_problem(85, all(), [](const Rule& rule, const Values& logits, auto& rng) {
    // Whole numbers and a few binary places: the shift is exact.
    const double shift = static_cast<double>(rng() % 2048) - 1024;
    Values rounded = logits;
    for (double& logit : rounded) logit = std::nearbyint(logit * 0x1p20) * 0x1p-20;
    Values shifted = rounded;
    for (double& logit : shifted) logit += shift;
    const Answer a = separated(rule, rounded);
    const Answer b = separated(rule, shifted);
    CHECK(same_bits(a.weights, b.weights));
    CHECK(std::abs(a.conjugate + shift - b.conjugate) <= slack(shifted));
  });
}

TEST_CASE("primitives/separation: permuted logits have permuted weights") {
  for_each_problem(86, all(), [](const Rule& rule, const Values& logits, auto& rng) {
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), rng);
    Values permuted;
    for (const std::size_t i : order) permuted.push_back(logits[i]);
    const Answer a = separated(rule, logits);
    const Answer b = separated(rule, permuted);
    Values expected;
    for (const std::size_t i : order) expected.push_back(a.weights[i]);
    // Sums in another order move tau by roundings, of which a weight is at worst this root.
    const double root = rule.name == "entmax" ? std::min(1.0, 1 / (rule.parameters[0] - 1)) : 1;
    check_close(b.weights, expected, std::pow(1e-13, root));
    CHECK(std::abs(a.conjugate - b.conjugate) <= slack(logits));
  });
}

TEST_CASE("primitives/separation: weights are one-hot if and only if the lead is the margin") {
  for_each_problem(87, sparse(), [](const Rule& rule, const Values& from, auto& rng) {
    Values logits = from;
    const std::size_t best = rng() % logits.size();
    const double margin = rule.separation->margin();
    logits[best] = -kInfinity;
    const double second = *std::max_element(logits.begin(), logits.end());
    if (second == -kInfinity) return;
    // A lead of the margin to the bit, where the second is 0.
    for (double& logit : logits) logit -= second;
    logits[best] = margin;
    Values one_hot(logits.size(), 0.0);
    one_hot[best] = 1;
    CHECK(separated(rule, logits).weights == one_hot);
    CHECK(separated(rule, logits).conjugate == margin);
    logits[best] = margin * 1.5;
    CHECK(separated(rule, logits).weights == one_hot);
    logits[best] = margin * 0.99;
    // Though the others may weigh next to nothing, and the best 1 when rounded.
    CHECK(separated(rule, logits).weights != one_hot);
  });
}

TEST_CASE("primitives/separation: margins are those of the papers") {
  CHECK((plain_softmax()).separation->margin() == kInfinity);
  CHECK((sparsemax()).separation->margin() == 1);
  CHECK((entmax15()).separation->margin() == 2);
  CHECK((entmax(3)).separation->margin() == 0.5);
  CHECK((top(2)).separation->margin() == kInfinity);
  CHECK((top(1)).separation->margin() == 0);
}

TEST_CASE("primitives/separation: bisection agrees with the closed forms, W* included") {
  const Rules rules{sparsemax(), entmax15()};
  for_each_problem(88, rules, [](const Rule& rule, const Values& logits, auto&) {
    const Answer exact = separated(rule, logits);
    const double alpha = rule.name == "sparsemax" ? 2 : 1.5;
    const Answer bisected = separated(entmax(alpha), logits);
    check_close(bisected.weights, exact.weights, 1e-12);
    CHECK(std::abs(bisected.conjugate - exact.conjugate) <= slack(logits));
  });
}

TEST_CASE("primitives/separation: entmax tends to softmax as alpha tends to 1") {
  const Rules rules{entmax(1 + 1e-6)};
  for_each_problem(89, rules, [](const Rule& rule, const Values& logits, auto&) {
    const Answer close = separated(rule, logits);
    const Answer limit = separated(plain_softmax(), logits);
    check_close(close.weights, limit.weights, 1e-3);
    CHECK(std::abs(close.conjugate - limit.conjugate) <= 1e-3);
  });
}

TEST_CASE("primitives/separation: topk is softmax of the k greatest, lower indices first") {
  auto rng = test::make_rng(90);
  for (int round = 0; round < 500; ++round) {
    Values logits(1 + rng() % 30);
    for (double& logit : logits) logit = static_cast<double>(rng() % 6);
    const std::size_t k = 1 + rng() % 35;
    std::vector<std::size_t> order(logits.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    Values kept(logits.size(), -kInfinity);
    for (std::size_t i = 0; i < std::min(k, order.size()); ++i) kept[order[i]] = logits[order[i]];
    const Answer a = separated(top(static_cast<double>(k)), logits);
    const Answer b = separated(plain_softmax(), kept);
    CHECK(same_bits(a.weights, b.weights));
    CHECK(a.conjugate == b.conjugate);
  }
}

TEST_CASE("primitives/separation: a logit of -infinity weighs 0, as if it were not there") {
  for_each_problem(91, all(), [](const Rule& rule, const Values& logits, auto& rng) {
    Values with;
    std::vector<bool> is_real;
    for (const double logit : logits) {
      for (; rng() % 3 == 0; is_real.push_back(false)) with.push_back(-kInfinity);
      with.push_back(logit);
      is_real.push_back(true);
    }
    const Answer without = separated(rule, logits);
    const Answer answer = separated(rule, with);
    Values real;
    double hidden = 0;
    for (std::size_t i = 0; i < with.size(); ++i) {
      if (is_real[i]) {
        real.push_back(answer.weights[i]);
      } else {
        hidden = std::max(hidden, std::abs(answer.weights[i]));
      }
    }
    CHECK(hidden == 0);
    CHECK(same_bits(real, without.weights));
    CHECK(answer.conjugate == without.conjugate);
  });
}

TEST_CASE("primitives/separation: huge logits and tiny differences do no harm") {
  for (const Rule& rule : all()) {
    CAPTURE(std::string(rule.name));
    CAPTURE(rule.parameters.empty() ? 0 : rule.parameters[0]);
    const Answer apart = separated(rule, {-1e308, 1e300, 0, 1e308, -kInfinity});
    CHECK(apart.weights == Values{0, 0, 0, 1, 0});
    CHECK(apart.conjugate == 1e308);
    if (rule.separation->most_weights() == 1) continue;
    const Answer same = separated(rule, {-1e300, -1e300});
    check_close(same.weights, {0.5, 0.5}, 1e-15);
    CHECK(same.conjugate == -1e300);
    const Answer close = separated(rule, {0, 1e-300, std::numeric_limits<double>::denorm_min()});
    check_close(close.weights, {1.0 / 3, 1.0 / 3, 1.0 / 3}, 1e-15);
  }
}

TEST_CASE("primitives/separation: equal logits have equal weights, however many") {
  for (const Rule& rule : all()) {
    if (rule.name == "topk") continue;
    CAPTURE(std::string(rule.name));
    CAPTURE(rule.parameters.empty() ? 0 : rule.parameters[0]);
    for (const std::size_t count : {1U, 2U, 7U, 1000U, 100'000U}) {
      CAPTURE(count);
      const Values p = separated(rule, Values(count, -3.25)).weights;
      CHECK(std::all_of(p.begin(), p.end(), [&](double weight) { return weight == p[0]; }));
      const auto n = static_cast<double>(count);
      CHECK(std::abs(p[0] * n - 1) <= n * 0x1p-52);
    }
  }
}

TEST_CASE("primitives/separation: buffers of earlier calls do not matter") {
  SeparationBuffers used;
  for_each_problem(92, all(), [&](const Rule& rule, const Values& logits, auto&) {
    Values weights(logits.size());
    const double conjugate = rule.separation->separate(logits, weights, used);
    const Answer fresh = separated(rule, logits);
    CHECK(same_bits(weights, fresh.weights));
    CHECK(conjugate == fresh.conjugate);
  });
}

TEST_CASE("primitives/separation: entropy and effective count of one-hot and of uniform weights") {
  CHECK(recall::effective_count(Values{0, 1, 0}) == 1);
  CHECK(recall::entropy(Values{0, 1, 0}) == 0);
  CHECK(recall::effective_count(Values{0.25, 0.25, 0, 0.25, 0.25}) == 4);
  CHECK(recall::entropy(Values{0.25, 0.25, 0, 0.25, 0.25}) == doctest::Approx(std::log(4)));
  CHECK(recall::entropy(Values{0.5, 0.25, 0.25}) == doctest::Approx(1.5 * std::log(2)));
}

}  // namespace
}  // namespace engram::separation_test
