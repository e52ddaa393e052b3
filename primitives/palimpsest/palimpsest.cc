// SPDX-License-Identifier: Apache-2.0
// `palimpsest`: a memory that never fills up, because it forgets what is old [Parisi1986]. See
// synapses.h for how it learns.
#include <array>
#include <memory>
#include <utility>

#include "core/exact_scan.h"
#include "core/registry.h"
#include "core/text.h"
#include "primitives/palimpsest/palimpsest_memory.h"
#include "primitives/palimpsest/palimpsest_recaller.h"

namespace engram {
namespace {

/// 32 MiB of synapses.
constexpr std::size_t kMaxPalimpsestDimension = 4096;

constexpr std::array kCreateOptions = {
    integer_option("BOUND", 0, 0, palimpsest::kMaxBound,
                   "of a synapse; 0 is .35 sqrt(d), by which most of the newest items are kept"),
    palimpsest::kRecallOptions[0],
};

class Palimpsest final : public Index {
 public:
  Palimpsest(const IndexContext& context, palimpsest::Synapses synapses, const Options& options)
      : memory_(context, std::move(synapses)), recaller_(memory_, options) {}

  Status insert(const Insertion& item, Scratch& /*scratch*/) override {
    return memory_.insert(item.slot);
  }
  void erase(Slot slot, Scratch& /*scratch*/) override { memory_.erase(slot); }
  Status search(Query query, const SearchParams& params, Scratch& /*scratch*/,
                std::vector<Hit>& hits) const override {
    const IndexContext& context = memory_.context();
    scan_nearest(Bound(context.kernel, query, context.store), memory_.held(), params, hits);
    return {};
  }
  std::size_t size() const noexcept override { return memory_.held().size(); }
  std::size_t memory_bytes() const noexcept override { return memory_.memory_bytes(); }
  std::vector<Fact> describe() const override {
    return {{"synapse-bound", number_text(memory_.bound())}};
  }
  Recaller* recaller() noexcept override { return &recaller_; }
  Status save(SectionWriter& writer, const SlotSet& items) const override {
    return memory_.save(writer, items);
  }
  Status load(SectionReader& reader, const SlotSet& items) override {
    return memory_.load(reader, items);
  }

 private:
  palimpsest::Memory memory_;
  palimpsest::PalimpsestRecaller recaller_;
};

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  const std::size_t dim = context.store.dim();
  const auto asked = static_cast<int>(options.integer("BOUND"));
  auto synapses =
      palimpsest::Synapses::create(dim, asked == 0 ? palimpsest::choose_bound(dim) : asked);
  if (!synapses) return tl::unexpected(std::move(synapses.error()));
  return std::make_unique<Palimpsest>(context, std::move(*synapses), options);
}

const Registration kRegistration({
    .name = "palimpsest",
    .summary = "Bounded synapses over signs: the newest items are recalled, the old are forgotten",
    .source = "Parisi 1986",
    .traits = {.exact = true,
               .saves_structure = true,
               .recalls = true,
               .order_dependent = true,
               .takes_items = true},
    .create_options = kCreateOptions,
    .recall_options = palimpsest::kRecallOptions,
    .max_dimension = kMaxPalimpsestDimension,
    .create = create,
});

}  // namespace
}  // namespace engram
