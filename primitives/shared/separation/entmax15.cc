// SPDX-License-Identifier: Apache-2.0
// `entmax15`: half way between softmax and sparsemax, alpha = 1.5 [Peters2019].
#include "primitives/shared/separation/separation.h"
#include "primitives/shared/separation/tsallis.h"

namespace engram {
namespace {

/// [Peters2019, Alg. 2]. O(c + s log c) if s of the c leads have weight.
double entmax15_tau(std::vector<double>& leads) {
  tsallis::Descending descending(leads);
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

class Entmax15 final : public Separation {
 public:
  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& buffers) const override {
    return tsallis::separate(1.5, logits, weights, buffers.values, entmax15_tau,
                             [](double x) { return x * x; });
  }
  double margin() const noexcept override { return 2; }
};

const SeparationRegistration kEntmax15({
    .name = "entmax15",
    .source = "Peters, Niculae & Martins 2019",
    .make = make_separation<Entmax15>,
});

}  // namespace
}  // namespace engram
