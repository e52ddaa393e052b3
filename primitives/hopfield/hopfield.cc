// SPDX-License-Identifier: Apache-2.0
// `hopfield`: a modern Hopfield network whose stored patterns are the items [Ramsauer2021]. It is
// also the default recaller: other primitives recall by it from what they hold.
#include <memory>
#include <utility>
#include <vector>

#include "core/registry.h"
#include "primitives/hopfield/hopfield_recaller.h"
#include "primitives/shared/associative/associative_index.h"

namespace engram {
namespace {

Result<std::unique_ptr<Recaller>> make_recaller(const MemoryView& memory, const Options& options) {
  return hopfield::HopfieldRecaller::create(memory, hopfield::read_settings(options, {}));
}

Result<std::unique_ptr<Recaller>> make_default(const MemoryView& memory) {
  return hopfield::HopfieldRecaller::create(memory, {});
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const hopfield::HopfieldSettings settings = hopfield::read_settings(options, {});
  return recall::AssociativeIndex::create(context, options, settings.candidates, make_recaller);
}

/// The separations and the graph that this program has become choices of options.
void complete(Primitive& primitive) {
  static const auto kCreateOptions = recall::with_graph_options(hopfield::recall_options());
  primitive.create_options = kCreateOptions;
  primitive.recall_options = hopfield::recall_options();
}

const Registration kRegistration({
    .name = "hopfield",
    .summary = "Associative recall: falls from a cue into the wells of an energy",
    .source = "Ramsauer et al. 2021",
    .traits = recall::kAssociativeTraits,
    .complete = complete,
    .create = create,
});

const DefaultRecallerRegistration kDefaultRecaller({
    .recall_options = hopfield::recall_options,
    .create = make_default,
});

}  // namespace
}  // namespace engram
