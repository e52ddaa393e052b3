// SPDX-License-Identifier: Apache-2.0
// `entmax`: any alpha in (1, 4], by bisection [Peters2019]. Some 60 passes over the logits near the
// greatest, with a power each.
#include <numeric>

#include "primitives/shared/separation/separation.h"
#include "primitives/shared/separation/tsallis.h"

namespace engram {
namespace {

/// [Peters2019, Alg. 1], until no double lies between the bounds of tau. `leads` loses those that
/// turn out to have no weight.
double entmax_tau(double alpha, std::vector<double>& leads) {
  const double exponent = 1 / (alpha - 1);
  double low = -1;
  double high = -std::pow(static_cast<double>(leads.size()), 1 - alpha);
  for (double middle = std::midpoint(low, high); low < middle && middle < high;
       middle = std::midpoint(low, high)) {
    double sum = 0;
    for (const double lead : leads) {
      if (lead > middle) sum += std::pow(lead - middle, exponent);
    }
    if (sum < 1) {
      high = middle;
    } else {
      low = middle;
      std::erase_if(leads, [&](double lead) { return lead <= low; });
    }
  }
  return low;
}

class Entmax final : public Separation {
 public:
  explicit Entmax(double alpha) : alpha_(alpha) {}

  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& buffers) const override {
    return tsallis::separate(
        alpha_, logits, weights, buffers.values,
        [this](std::vector<double>& leads) { return entmax_tau(alpha_, leads); },
        [this](double x) { return std::pow(x, 1 / (alpha_ - 1)); });
  }
  double margin() const noexcept override { return 1 / (alpha_ - 1); }

 private:
  double alpha_;
};

constexpr OptionSpec kEntmaxOptions[] = {
    real_option("ALPHA", 1.5, 1.01, 4, "of SEP entmax: 1 would be softmax, 2 is sparsemax"),
};

const SeparationRegistration kEntmax({
    .name = "entmax",
    .source = "Peters, Niculae & Martins 2019",
    .options = kEntmaxOptions,
    .make = make_separation<Entmax>,
});

}  // namespace
}  // namespace engram
