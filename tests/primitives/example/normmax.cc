// SPDX-License-Identifier: Apache-2.0
// `normmax`: a separation whose W is the norm, W(p) = ||p||_2 - 1 [Blondel2020]. With u
// = [l - tau]+ of unit length, weights are u / sum u, and W* is tau + 1.
#include <algorithm>
#include <cmath>
#include <functional>

#include "primitives/shared/separation/separation.h"

namespace engram {
namespace {

class Normmax final : public Separation {
 public:
  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& buffers) const override {
    const double greatest = *std::max_element(logits.begin(), logits.end());
    const double tau = find_tau(logits, greatest, buffers.values);
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      weights[i] = std::max(0.0, logits[i] - greatest - tau);
      sum += weights[i];
    }
    for (double& weight : weights) weight /= sum;
    return greatest + (tau + 1);
  }
  double margin() const noexcept override { return 1; }

 private:
  /// The tau for which [lead - tau]+ has unit length, where lead is a logit's over the greatest.
  static double find_tau(std::span<const double> logits, double greatest,
                         std::vector<double>& leads) {
    leads.clear();
    for (const double logit : logits) {
      if (logit - greatest > -1) leads.push_back(logit - greatest);
    }
    std::sort(leads.begin(), leads.end(), std::greater<>());
    double sum = 0;
    double squares = 0;
    double tau = -1;
    for (std::size_t i = 0; i < leads.size(); ++i) {
      const double k = static_cast<double>(i + 1);
      sum += leads[i];
      squares += leads[i] * leads[i];
      const double deviation = squares - sum * sum / k;
      const double next = sum / k - std::sqrt(std::max(0.0, 1 - deviation) / k);
      if (next > leads[i]) break;
      tau = next;
    }
    return tau;
  }
};

const SeparationRegistration kRegistration({.name = "normmax",
                                            .source = "Blondel, Martins & Niculae 2020",
                                            .make = make_separation<Normmax>});

}  // namespace
}  // namespace engram
