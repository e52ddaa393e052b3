// SPDX-License-Identifier: Apache-2.0
// `sparsemax`: the projection of the logits onto the simplex [Martins2016], alpha = 2.
#include "primitives/shared/separation/separation.h"
#include "primitives/shared/separation/tsallis.h"

namespace engram {
namespace {

/// [Martins2016, Alg. 1]. O(c + s log c) if s of the c leads have weight.
double sparsemax_tau(std::vector<double>& leads) {
  tsallis::Descending descending(leads);
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

class Sparsemax final : public Separation {
 public:
  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& buffers) const override {
    return tsallis::separate(2, logits, weights, buffers.values, sparsemax_tau,
                             [](double x) { return x; });
  }
  double margin() const noexcept override { return 1; }
};

const SeparationRegistration kSparsemax({
    .name = "sparsemax",
    .source = "Martins & Astudillo 2016",
    .make = make_separation<Sparsemax>,
});

}  // namespace
}  // namespace engram
