// SPDX-License-Identifier: Apache-2.0
// `hebb`: the Hopfield network of 1982, which is what newer associative memories are compared with,
// and rules of learning that came after.
#include <algorithm>
#include <array>
#include <memory>

#include "core/registry.h"
#include "primitives/hebb/hebb_recaller.h"
#include "primitives/shared/superposed/superposed_index.h"

namespace engram {
namespace {

/// 64 MiB of correlations.
constexpr std::size_t kMaxHebbDimension = 4096;

constexpr auto kCreateOptions = [] {
  std::array<OptionSpec, hebb::kRuleOptions.size() + hebb::kRecallOptions.size()> all{};
  auto end = std::copy(hebb::kRuleOptions.begin(), hebb::kRuleOptions.end(), all.begin());
  std::copy(hebb::kRecallOptions.begin(), hebb::kRecallOptions.end(), end);
  return all;
}();

std::size_t max_dimension_with(const Options& options) {
  return options.choice("RULE") == hebb::kRuleNames[0] ? kMaxHebbDimension
                                                       : hebb::kMaxLearnedDimension;
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const auto learning = hebb::read_learning(options);
  if (!learning) return tl::unexpected(learning.error());
  return recall::SuperposedIndex<hebb::OuterProduct>::create(
      context, hebb::OuterProduct(context.store.dim(), learning->rule != hebb::Rule::kHebb),
      [&](const hebb::Correlations& memory) -> Result<std::unique_ptr<Recaller>> {
        return std::make_unique<hebb::HebbRecaller>(memory, *learning, options);
      });
}

const Registration kRegistration({
    .name = "hebb",
    .summary = "The classical Hopfield network over signs: a matrix whatever the number of items",
    .source = "Hopfield 1982; Fachechi, Agliari & Barra 2019",
    .traits = recall::kSuperposedTraits,
    .create_options = kCreateOptions,
    .recall_options = hebb::kRecallOptions,
    .max_dimension = kMaxHebbDimension,
    .max_dimension_with = max_dimension_with,
    .create = create,
});

}  // namespace
}  // namespace engram
