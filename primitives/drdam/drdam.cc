// SPDX-License-Identifier: Apache-2.0
// `drdam`: dense associative memory through random features, which is a sum of one size however
// many items there are.
#include <array>
#include <memory>

#include "core/registry.h"
#include "primitives/drdam/drdam_recaller.h"
#include "primitives/drdam/random_features.h"
#include "primitives/shared/superposed/superposed_index.h"

namespace engram {
namespace {

constexpr std::size_t kMaxDrdamDimension = 4096;

constexpr std::array kCreateOptions = {
    integer_option("FEATURES", 2048, 16, 1 << 18, "pairs of random features that are kept"),
    real_option("BETA", 10, 1e-12, 1e15, "inverse temperature, which the features are made for"),
    integer_option("SEED", 1, 0, 1e9, "draws the features"),
    drdam::kRecallOptions[0],
    drdam::kRecallOptions[1],
};

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  auto features = drdam::RandomFeatures::create(
      context.store.dim(), static_cast<std::size_t>(options.integer("FEATURES")),
      options.real("BETA"), static_cast<std::uint64_t>(options.integer("SEED")));
  if (!features) return tl::unexpected(std::move(features.error()));
  return recall::SuperposedIndex<drdam::RandomFeatures>::create(
      context, std::move(*features), [&](const drdam::FeatureSum& memory) {
        return drdam::DrdamRecaller::create(memory, options);
      });
}

const Registration kRegistration({
    .name = "drdam",
    .summary = "Associative recall from one sum of random features, whatever the number of items",
    .source = "Hoover et al. 2024",
    .traits = recall::kSuperposedTraits,
    .create_options = kCreateOptions,
    .recall_options = drdam::kRecallOptions,
    .max_dimension = kMaxDrdamDimension,
    .create = create,
});

}  // namespace
}  // namespace engram
