// SPDX-License-Identifier: Apache-2.0
#include "primitives/recall/separation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "core/assert.h"

namespace engram {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// exp(-37) < 2^-53: less than half a unit in the last place of a sum that holds the greatest term,
/// 1, and adding it would be rounded away.
constexpr double kNegligible = -37;

/// Logits above `threshold` count, and the first `at_threshold` of those that equal it.
struct Cut {
  double threshold = -kInfinity;
  std::size_t at_threshold = 0;
};

/// Softmax of the logits that count.
double softmax(Cut cut, std::span<const double> logits, std::span<double> weights) {
  const double greatest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    bool counts = logits[i] > cut.threshold;
    if (logits[i] == cut.threshold && cut.at_threshold > 0) {
      counts = true;
      --cut.at_threshold;
    }
    const double lead = logits[i] - greatest;
    weights[i] = counts && lead > kNegligible ? std::exp(lead) : 0.0;
    sum += weights[i];
  }
  for (double& weight : weights) weight /= sum;
  return greatest + std::log(sum);
}

/// The cut that leaves the k greatest, lower indices first.
Cut cut_to(std::size_t k, std::span<const double> logits, std::vector<double>& greatest) {
  if (k >= logits.size()) return {};
  greatest.resize(k);
  std::partial_sort_copy(logits.begin(), logits.end(), greatest.begin(), greatest.end(),
                         std::greater<>());
  const double threshold = greatest.back();
  const auto equal = std::find(greatest.begin(), greatest.end(), threshold);
  return {threshold, static_cast<std::size_t>(greatest.end() - equal)};
}

/// A heap's values from the greatest down, of which those that nobody asks for are never sorted.
class Descending {
 public:
  explicit Descending(std::vector<double>& values) : begin_(values.begin()), end_(values.end()) {
    std::make_heap(begin_, end_);
  }
  bool empty() const { return begin_ == end_; }
  double next() {
    std::pop_heap(begin_, end_);
    return *--end_;
  }

 private:
  std::vector<double>::iterator begin_;
  std::vector<double>::iterator end_;
};

/// [Martins2016, Alg. 1]: tau of alpha = 2. The logits are those above -1, the greatest is 0.
double sparsemax_tau(std::vector<double>& logits) {
  Descending descending(logits);
  double sum = 0;
  double tau = -1;
  for (double k = 1; !descending.empty(); ++k) {
    const double next = descending.next();
    if (1 + k * next <= sum + next) break;
    sum += next;
    tau = (sum - 1) / k;
  }
  return tau;
}

/// [Peters2019, Alg. 2]: tau of alpha = 1.5, of halved logits. They are those above -1, the
/// greatest is 0.
double entmax15_tau(std::vector<double>& logits) {
  Descending descending(logits);
  double sum = 0;
  double squares = 0;
  double tau = -1;
  for (double k = 1; !descending.empty(); ++k) {
    const double next = descending.next();
    sum += next;
    squares += next * next;
    const double mean = sum / k;
    const double deviation = squares - k * mean * mean;
    const double candidate = mean - std::sqrt(std::max(0.0, 1 - deviation) / k);
    if (candidate > next) break;
    tau = candidate;
  }
  return tau;
}

/// [Peters2019, Alg. 1]: tau by bisection, until no double lies between its bounds. The logits,
/// times alpha - 1, are those above -1, the greatest is 0. They lose those that turn out to have no
/// weight.
double entmax_tau(double alpha, std::vector<double>& logits) {
  const double exponent = 1 / (alpha - 1);
  double low = -1;
  double high = -std::pow(static_cast<double>(logits.size()), 1 - alpha);
  for (double middle = std::midpoint(low, high); low < middle && middle < high;
       middle = std::midpoint(low, high)) {
    double sum = 0;
    for (const double logit : logits) {
      if (logit > middle) sum += std::pow(logit - middle, exponent);
    }
    if (sum < 1) {
      high = middle;
    } else {
      low = middle;
      std::erase_if(logits, [&](double logit) { return logit <= low; });
    }
  }
  return low;
}

double alpha_of(const SeparationRule& rule) noexcept {
  switch (rule.kind) {
    case Separation::kSparsemax:
      return 2;
    case Separation::kEntmax15:
      return 1.5;
    default:
      return rule.alpha;
  }
}

double tau_of(const SeparationRule& rule, std::vector<double>& logits) {
  switch (rule.kind) {
    case Separation::kSparsemax:
      return sparsemax_tau(logits);
    case Separation::kEntmax15:
      return entmax15_tau(logits);
    default:
      return entmax_tau(rule.alpha, logits);
  }
}

/// x^(1 / (alpha - 1)), without pow() where there is a closed form.
double weight_of(const SeparationRule& rule, double x) {
  switch (rule.kind) {
    case Separation::kSparsemax:
      return x;
    case Separation::kEntmax15:
      return x * x;
    default:
      return std::pow(x, 1 / (rule.alpha - 1));
  }
}

/// Divides the weights by their sum, which corrects what tau has been rounded by; and returns W*. A
/// mean of leads keeps the digits that one of huge logits would lose.
double normalise(double alpha, double sum, double greatest, std::span<const double> logits,
                 std::span<double> weights) {
  double mean_lead = 0;
  double powers = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (weights[i] == 0) continue;
    weights[i] /= sum;
    mean_lead += weights[i] * (logits[i] - greatest);
    powers += std::pow(weights[i], alpha);
  }
  return greatest + (mean_lead - (powers - 1) / (alpha * (alpha - 1)));
}

/// A lead over the greatest logit (not positive) times alpha - 1. From the margin on it is -1 and
/// has no weight, whatever the product is rounded to.
double scaled(double alpha, double lead) {
  return lead > -1 / (alpha - 1) ? (alpha - 1) * lead : -1;
}

/// The separations above alpha = 1.
double entmax(const SeparationRule& rule, std::span<const double> logits, std::span<double> weights,
              std::vector<double>& candidates) {
  const double alpha = alpha_of(rule);
  const double greatest = *std::max_element(logits.begin(), logits.end());
  candidates.clear();
  for (const double logit : logits) {
    const double lead = scaled(alpha, logit - greatest);
    if (lead > -1) candidates.push_back(lead);
  }
  const double tau = tau_of(rule, candidates);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double lead = scaled(alpha, logits[i] - greatest);
    weights[i] = lead > tau ? weight_of(rule, lead - tau) : 0.0;
    sum += weights[i];
  }
  return normalise(alpha, sum, greatest, logits, weights);
}

}  // namespace

double separation_margin(const SeparationRule& rule) noexcept {
  switch (rule.kind) {
    case Separation::kSoftmax:
      return kInfinity;
    case Separation::kTopK:
      return rule.k == 1 ? 0 : kInfinity;
    default:
      return 1 / (alpha_of(rule) - 1);
  }
}

double separate(const SeparationRule& rule, std::span<const double> logits,
                std::span<double> weights, SeparationBuffers& buffers) {
  ENGRAM_ASSERT(!logits.empty() && logits.size() == weights.size());
  switch (rule.kind) {
    case Separation::kSoftmax:
      return softmax({}, logits, weights);
    case Separation::kTopK:
      ENGRAM_ASSERT(rule.k >= 1);
      return softmax(cut_to(rule.k, logits, buffers.values), logits, weights);
    default:
      ENGRAM_ASSERT(alpha_of(rule) > 1 && alpha_of(rule) <= 4);
      return entmax(rule, logits, weights, buffers.values);
  }
}

double effective_count(std::span<const double> weights) noexcept {
  double squares = 0;
  for (const double weight : weights) squares += weight * weight;
  return 1 / squares;
}

double entropy(std::span<const double> weights) noexcept {
  double sum = 0;
  for (const double weight : weights) {
    if (weight > 0) sum -= weight * std::log(weight);
  }
  return sum;
}

}  // namespace engram
