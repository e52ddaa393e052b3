// SPDX-License-Identifier: Apache-2.0
// `hebb`: the Hopfield network of 1982, which is what newer associative memories are compared with.
#include <memory>

#include "core/registry.h"
#include "primitives/hebb/hebb_recaller.h"
#include "primitives/shared/superposed/superposed_index.h"

namespace engram {
namespace {

/// 64 MiB of correlations.
constexpr std::size_t kMaxHebbDimension = 4096;

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  return recall::SuperposedIndex<hebb::OuterProduct>::create(
      context, hebb::OuterProduct(context.store.dim()),
      [&](const hebb::Correlations& memory) -> Result<std::unique_ptr<Recaller>> {
        return std::make_unique<hebb::HebbRecaller>(memory, options);
      });
}

const Registration kRegistration({
    .name = "hebb",
    .summary = "The classical Hopfield network over signs: a matrix whatever the number of items",
    .source = "Hopfield 1982",
    .traits = recall::kSuperposedTraits,
    .create_options = hebb::kRecallOptions,
    .recall_options = hebb::kRecallOptions,
    .max_dimension = kMaxHebbDimension,
    .create = create,
});

}  // namespace
}  // namespace engram
