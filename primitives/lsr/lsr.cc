// SPDX-License-Identifier: Apache-2.0
// `lsr`: dense associative memory with the log-sum-ReLU energy, the Epanechnikov kernel's
// [Hoover2025]: only items within a radius have a say, so it can abstain, and means of a few items
// can be memories of their own.
#include <memory>

#include "core/registry.h"
#include "primitives/lsr/lsr_recaller.h"
#include "primitives/shared/associative/associative_index.h"

namespace engram {
namespace {

Result<std::unique_ptr<Recaller>> make_recaller(const MemoryView& memory, const Options& options) {
  return lsr::LsrRecaller::create(memory, lsr::read_settings(options, {}));
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const lsr::LsrSettings settings = lsr::read_settings(options, {});
  return recall::AssociativeIndex::create(context, options, settings.candidates, make_recaller);
}

/// The graph that this program has becomes a choice of an option.
void complete(Primitive& primitive) {
  static const auto kCreateOptions = recall::with_graph_options(lsr::kRecallOptions);
  primitive.create_options = kCreateOptions;
}

const Registration kRegistration({
    .name = "lsr",
    .summary = "Associative recall by the items within a radius: abstains, and blends",
    .source = "Hoover et al. 2025",
    .traits = recall::kAssociativeTraits,
    .recall_options = lsr::kRecallOptions,
    .complete = complete,
    .create = create,
});

}  // namespace
}  // namespace engram
