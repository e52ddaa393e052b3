// SPDX-License-Identifier: Apache-2.0
// `hopfield`: a modern Hopfield network whose stored patterns are the items [Ramsauer2021]. The
// network is primitives/recall, which other indexes have over what they hold, too.
#include <memory>
#include <utility>

#include "core/registry.h"
#include "primitives/recall/associative_index.h"
#include "primitives/recall/hopfield_recaller.h"

namespace engram {
namespace {

constexpr auto kCreateOptions = recall::with_graph_options(recall::kRecallOptions);

Result<std::unique_ptr<Recaller>> make_recaller(const recall::Memory& memory,
                                                const Options& options) {
  return recall::HopfieldRecaller::create(memory, recall::read_settings(options, {}));
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const recall::Settings settings = recall::read_settings(options, {});
  return recall::AssociativeIndex::create(context, options, settings.candidates, make_recaller);
}

const Registration kRegistration({
    .name = "hopfield",
    .summary = "Associative recall: falls from a cue into the wells of an energy",
    .source = "Ramsauer et al. 2021",
    .traits = recall::kAssociativeTraits,
    .create_options = kCreateOptions,
    .recall_options = recall::kRecallOptions,
    .create = create,
});

}  // namespace
}  // namespace engram
