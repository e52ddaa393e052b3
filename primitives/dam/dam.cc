// SPDX-License-Identifier: Apache-2.0
// `dam`: dense associative memory over the signs of vectors.
#include <memory>

#include "core/registry.h"
#include "primitives/dam/dam_recaller.h"
#include "primitives/shared/associative/associative_index.h"

namespace engram {
namespace {

Result<std::unique_ptr<Recaller>> make_recaller(const MemoryView& memory, const Options& options) {
  return std::make_unique<dam::DamRecaller>(memory, dam::read_settings(options, {}));
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  return recall::AssociativeIndex::create(context, options, recall::Candidates::kScan,
                                          make_recaller);
}

const Registration kRegistration({
    .name = "dam",
    .summary = "Dense associative memory over signs, with a polynomial or exponential energy",
    .source = "Krotov & Hopfield 2016; Demircigil et al. 2017",
    .traits = {.exact = true,
               .concurrent = true,
               .saves_structure = true,
               .recalls = true,
               .takes_items = true},
    .create_options = dam::kRecallOptions,
    .recall_options = dam::kRecallOptions,
    .create = create,
});

}  // namespace
}  // namespace engram
