// SPDX-License-Identifier: Apache-2.0
// `softmax`: W(p) = sum p ln p. With it the network is that of [Ramsauer2021].
#include "primitives/shared/separation/softmax.h"

#include <algorithm>
#include <cmath>

#include "core/assert.h"
#include "primitives/shared/separation/separation.h"

namespace engram {

double softmax(std::span<const double> logits, std::span<double> weights, SoftmaxCut cut) {
  ENGRAM_ASSERT(!logits.empty() && logits.size() == weights.size());
  /// exp(-37) < 2^-53: less than half a unit in the last place of a sum that holds the greatest
  /// term, 1, and adding it would be rounded away.
  constexpr double kNegligible = -37;
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

namespace {

class Softmax final : public Separation {
 public:
  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& /*buffers*/) const override {
    return softmax(logits, weights);
  }
  double margin() const noexcept override { return std::numeric_limits<double>::infinity(); }

  /// With t = others exp(logit - W*), their share is at most t / (1 + t).
  double weight_left_out(double others, double logit, double /*weight*/,
                         double conjugate) const noexcept override {
    const double t = others * std::exp(logit - conjugate);
    return t / (1 + t);
  }
};

const SeparationRegistration kSoftmax({
    .name = "softmax",
    .source = "Ramsauer et al. 2021",
    .make = make_separation<Softmax>,
});

}  // namespace
}  // namespace engram
