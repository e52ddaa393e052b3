// SPDX-License-Identifier: Apache-2.0
// `topk`: softmax of the k greatest logits, lower indices first. W* is theirs: convex, but it has
// no gradient where the k-th logit equals the next.
#include <algorithm>
#include <functional>

#include "primitives/shared/separation/separation.h"
#include "primitives/shared/separation/softmax.h"

namespace engram {
namespace {

/// The cut that leaves the k greatest.
SoftmaxCut cut_to(std::size_t k, std::span<const double> logits, std::vector<double>& greatest) {
  if (k >= logits.size()) return {};
  greatest.resize(k);
  std::partial_sort_copy(logits.begin(), logits.end(), greatest.begin(), greatest.end(),
                         std::greater<>());
  const double threshold = greatest.back();
  const auto equal = std::find(greatest.begin(), greatest.end(), threshold);
  return {threshold, static_cast<std::size_t>(greatest.end() - equal)};
}

class TopKSoftmax final : public Separation {
 public:
  explicit TopKSoftmax(double k) : k_(static_cast<std::size_t>(k)) {}

  double separate(std::span<const double> logits, std::span<double> weights,
                  SeparationBuffers& buffers) const override {
    return softmax(logits, weights, cut_to(k_, logits, buffers.values));
  }
  double margin() const noexcept override {
    return k_ == 1 ? 0 : std::numeric_limits<double>::infinity();
  }
  std::size_t most_weights() const noexcept override { return k_; }
  /// Nothing, if at least k were separated.
  double weight_left_out(double /*others*/, double /*logit*/, double /*weight*/,
                         double /*conjugate*/) const noexcept override {
    return 0;
  }

 private:
  std::size_t k_;
};

constexpr OptionSpec kTopkOptions[] = {
    integer_option("TOPK", 8, 1, 1'000'000, "of SEP topk: how many items have a weight"),
};

const SeparationRegistration kTopk({
    .name = "topk",
    .source = "softmax of the k nearest",
    .options = kTopkOptions,
    .make = make_separation<TopKSoftmax>,
});

}  // namespace
}  // namespace engram
