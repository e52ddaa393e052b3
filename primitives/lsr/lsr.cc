// SPDX-License-Identifier: Apache-2.0
// `lsr`: dense associative memory with the log-sum-ReLU energy, the Epanechnikov kernel's
// [Hoover2025]: only items within a radius have a say, so it can abstain, and means of a few items
// can be memories of their own.
#include <memory>

#include "core/registry.h"
#include "primitives/lsr/lsr_recaller.h"
#include "primitives/recall/associative_index.h"

namespace engram {
namespace {

constexpr auto kCreateOptions = recall::with_graph_options(lsr::kRecallOptions);

Result<std::unique_ptr<Recaller>> make_recaller(const recall::Memory& memory,
                                                const Options& options) {
  return lsr::LsrRecaller::create(memory, lsr::read_settings(options, {}));
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const lsr::Settings settings = lsr::read_settings(options, {});
  return recall::AssociativeIndex::create(context, options, settings.candidates, make_recaller);
}

const Registration kRegistration({
    .name = "lsr",
    .summary = "Associative recall by the items within a radius: abstains, and blends",
    .source = "Hoover et al. 2025",
    .traits = recall::kAssociativeTraits,
    .create_options = kCreateOptions,
    .recall_options = lsr::kRecallOptions,
    .create = create,
});

}  // namespace
}  // namespace engram
