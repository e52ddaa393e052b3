// SPDX-License-Identifier: Apache-2.0
// What the separations have in common whose W is a negative Tsallis entropy, (sum p^alpha - 1) /
// (alpha (alpha - 1)) with alpha > 1 [Peters2019]: weights are [(alpha - 1) l_i - tau]+ ^ (1 /
// (alpha - 1)) for the tau that makes their sum 1. W of a one-hot p is 0, so W* of different alphas
// can be compared. (Our constant for sparsemax differs from that of [Martins2016], whose W is sum
// p^2 / 2.)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "core/assert.h"

namespace engram::tsallis {

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

/// A lead over the greatest logit (not positive) times alpha - 1. From the margin on it is -1 and
/// has no weight, whatever the product is rounded to.
inline double scaled(double alpha, double lead) {
  return lead > -1 / (alpha - 1) ? (alpha - 1) * lead : -1;
}

/// Divides the weights by their sum, which corrects what tau has been rounded by; and returns W*. A
/// mean of leads keeps the digits that one of huge logits would lose.
inline double normalise(double alpha, double sum, double greatest, std::span<const double> logits,
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

/// As Separation::separate(). find_tau(leads): the tau of scaled leads, of which those above -1
/// are given, in a vector that it may change; power(x): x^(1 / (alpha - 1)).
///
/// Cost: O(n), and more only on the c logits less than the margin below the greatest.
template <class FindTau, class Power>
double separate(double alpha, std::span<const double> logits, std::span<double> weights,
                std::vector<double>& leads, FindTau&& find_tau, Power&& power) {
  ENGRAM_ASSERT(!logits.empty() && logits.size() == weights.size());
  const double greatest = *std::max_element(logits.begin(), logits.end());
  leads.clear();
  for (const double logit : logits) {
    const double lead = scaled(alpha, logit - greatest);
    if (lead > -1) leads.push_back(lead);
  }
  const double tau = find_tau(leads);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double lead = scaled(alpha, logits[i] - greatest);
    weights[i] = lead > tau ? power(lead - tau) : 0.0;
    sum += weights[i];
  }
  return normalise(alpha, sum, greatest, logits, weights);
}

}  // namespace engram::tsallis
