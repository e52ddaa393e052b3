// SPDX-License-Identifier: Apache-2.0
// `sdm`: Kanerva's sparse distributed memory, over the signs of vectors.
#include <array>
#include <memory>
#include <string>

#include "core/registry.h"
#include "primitives/sdm/activation.h"
#include "primitives/sdm/sdm_recaller.h"
#include "primitives/shared/superposed/superposed_index.h"

namespace engram {
namespace {

constexpr std::size_t kMaxSdmDimension = 4096;

/// 256 MiB of them.
constexpr std::size_t kMaxCounters = std::size_t{1} << 26;

constexpr double kMaxSeed = 9007199254740991.0;  // 2^53 - 1: what an option holds exactly

constexpr std::array kCreateOptions = {
    integer_option("LOCATIONS", 1000, 1, 1'000'000,
                   "hard locations, each with an address and a counter for every dimension"),
    integer_option("RADIUS", 0, 0, kMaxSdmDimension,
                   "signs in which a location may differ from what activates it; 0 is so many "
                   "that about the square root of LOCATIONS are activated"),
    integer_option("SEED", 42, 0, kMaxSeed, "changes the addresses of the locations"),
    sdm::kStepsOption,
};

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const std::size_t dim = context.store.dim();
  const auto locations = static_cast<std::size_t>(options.integer("LOCATIONS"));
  const auto radius = static_cast<std::size_t>(options.integer("RADIUS"));
  if (locations * dim > kMaxCounters) {
    return fail(ErrorCode::kInvalidArgument,
                "LOCATIONS " + std::to_string(locations) + " of " + std::to_string(dim) +
                    " dimensions are " + std::to_string(locations * dim) +
                    " counters, there may be " + std::to_string(kMaxCounters) + ": at most " +
                    std::to_string(kMaxCounters / dim) + " locations");
  }
  if (radius > dim) {
    return fail(ErrorCode::kInvalidArgument, "RADIUS " + std::to_string(radius) +
                                                 " is more than the " + std::to_string(dim) +
                                                 " dimensions that may differ");
  }
  return recall::SuperposedIndex<sdm::HardLocations>::create(
      context,
      sdm::HardLocations(dim, locations, radius == 0 ? sdm::choose_radius(dim, locations) : radius,
                         static_cast<std::uint64_t>(options.integer("SEED"))),
      [&](const sdm::Counters& memory) -> Result<std::unique_ptr<Recaller>> {
        return std::make_unique<sdm::SdmRecaller>(memory, options);
      });
}

const Registration kRegistration({
    .name = "sdm",
    .summary = "Sparse distributed memory over signs: counters whatever the number of items",
    .source = "Kanerva 1988",
    .traits = recall::kSuperposedTraits,
    .create_options = kCreateOptions,
    .recall_options = sdm::kRecallOptions,
    .max_dimension = kMaxSdmDimension,
    .create = create,
});

}  // namespace
}  // namespace engram
