// SPDX-License-Identifier: Apache-2.0
// `palimpsest`: a memory that never fills up, because it forgets [Parisi1986]. It learns the signs
// of each item by Hebb's rule, but no synapse grows beyond a bound:
//
//   J_kl <- clamp(J_kl + x_k x_l, -bound, bound)
//
// so what was learned last is recalled best, and what was learned long ago not at all. The bound
// makes it depend on the order of items, and what an erased item has left behind stays until it is
// written over.
#include <atomic>
#include <cmath>
#include <limits>

#include "core/exact_scan.h"
#include "core/option_reading.h"
#include "core/registry.h"
#include "core/slot_set_io.h"
#include "core/text.h"
#include "primitives/shared/signs/sign_recall.h"
#include "primitives/shared/surveys/item_survey.h"

namespace engram {
namespace {

constexpr OptionSpec kSteps = integer_option("STEPS", 100, 0, 10'000, "turns of all signs at most");
constexpr OptionSpec kCreateOptions[] = {
    integer_option("BOUND", 5, 1, 127, "of a synapse: the more, the more items are remembered"),
    kSteps};
constexpr OptionSpec kRecallOptions[] = {kSteps};

/// The symmetric matrix J, whose diagonal counts for nothing.
class Synapses {
 public:
  Synapses(std::size_t dim, int bound) : dim_(dim), bound_(bound), values_(dim * dim) {}

  void learn(const float* row) {
    const auto sign = [&](std::size_t i) { return recall::is_positive(row[i]) ? 1 : -1; };
    for (std::size_t k = 0; k < dim_; ++k) {
      for (std::size_t l = 0; l < dim_; ++l) {
        auto& value = values_[k * dim_ + l];
        value =
            static_cast<std::int8_t>(std::clamp(int{value} + sign(k) * sign(l), -bound_, bound_));
      }
    }
  }

  /// What pulls at sign k.
  std::int64_t pull(std::size_t k, const recall::SignState& state) const {
    std::int64_t sum = 0;
    for (std::size_t l = 0; l < dim_; ++l) {
      if (l != k) sum += values_[k * dim_ + l] * state.sign(l);
    }
    return sum;
  }

  Status save(SectionWriter& writer) const {
    ENGRAM_TRY(writer.begin(kSection));
    return writer.append(std::as_bytes(std::span(values_)));
  }
  Status load(SectionReader& reader) {
    const auto section = reader.section(kSection);
    if (!section) return tl::unexpected(section.error());
    const auto* const values = reinterpret_cast<const std::int8_t*>(section->data());
    const bool is_sound =
        section->size() == values_.size() &&
        std::all_of(values, values + section->size(), [&](int v) { return std::abs(v) <= bound_; });
    if (!is_sound) return fail(ErrorCode::kDataLoss, "the synapses are damaged");
    values_.assign(values, values + section->size());
    return {};
  }

 private:
  static constexpr std::string_view kSection = "palimpsest.synapses";

  std::size_t dim_;
  int bound_;
  std::vector<std::int8_t> values_;  // [dim, dim]
};

class Dynamics final : public recall::SignDynamics {
 public:
  explicit Dynamics(const Synapses& synapses) : synapses_(synapses) {}

  std::optional<double> energy(const recall::SignState& state) override {
    double twice = 0;
    for (std::size_t k = 0; k < state.dim(); ++k) {
      twice -= static_cast<double>(state.sign(k) * synapses_.pull(k, state));
    }
    return twice / (2.0 * static_cast<double>(state.dim()));
  }
  bool update(recall::SignState& state) override {
    bool changed = false;
    for (std::size_t k = 0; k < state.dim(); ++k) {
      const std::int64_t pull = state.is_free(k) ? synapses_.pull(k, state) : 0;
      const bool is_unknown = state.is_free(k) && state.sign(k) == 0;
      if (!is_unknown && pull * state.sign(k) >= 0) continue;
      state.set(k, pull > 0);
      changed = true;
    }
    return changed;
  }
  double log_share(std::size_t mismatches, std::size_t known) const override {
    return 2 * std::log(std::abs(static_cast<double>(known) - 2 * static_cast<double>(mismatches)));
  }

 private:
  const Synapses& synapses_;
};

class Palimpsest final : public Index, public Recaller {
 public:
  Palimpsest(const IndexContext& context, const Options& options)
      : context_(context),
        steps_(static_cast<std::size_t>(options.integer("STEPS"))),
        synapses_(context.store.dim(), static_cast<int>(options.integer("BOUND"))) {}

  Status insert(const Insertion& item, Scratch& /*scratch*/) override {
    ENGRAM_TRY(held_.ensure(std::size_t{item.slot} + 1));
    synapses_.learn(reinterpret_cast<const float*>(context_.store.row(item.slot)));
    held_.add(item.slot);
    newest_sequence_ = item.sequence;
    newest_unix_ms_ = item.unix_ms;
    return {};
  }
  void erase(Slot slot, Scratch& /*scratch*/) override { held_.erase(slot); }
  Status search(Query query, const SearchParams& params, Scratch& /*scratch*/,
                std::vector<Hit>& hits) const override {
    scan_nearest(Bound(context_.kernel, query, context_.store), held_, params.k, hits);
    return {};
  }
  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override {
    return sizeof(*this) + held_.memory_bytes() + context_.store.dim() * context_.store.dim();
  }
  Recaller* recaller() noexcept override { return this; }
  Status save(SectionWriter& writer, const SlotSet& /*items*/) const override {
    return synapses_.save(writer);
  }
  Status load(SectionReader& reader, const SlotSet& items) override {
    ENGRAM_TRY(synapses_.load(reader));
    return hold_items(items, context_.store.slot_end(), held_);
  }

  Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                Recall& recall) const override {
    auto& buffers = scratch.get<recall::SignBuffers>();
    buffers.items.read(context_.store, among(params.items));
    Dynamics dynamics(synapses_);
    recall_signs(context_, cue, steps_of(params, steps_), params.top, dynamics, buffers, recall);
    return {};
  }
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch& /*scratch*/) const override {
    if (among(params.items).size() == 0) return std::numeric_limits<double>::infinity();
    return *Dynamics(synapses_).energy(recall::SignState({.vector = state}, context_.store.dim()));
  }
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override {
    return std::make_unique<recall::ItemSurvey>(*this, context_.store, among(params.items), params);
  }
  void adopt(const Tuning& tuning) override { surveyed_.adopt(tuning); }
  std::vector<Fact> describe() const override {
    std::vector<Fact> facts = surveyed_.describe(held_.size());
    facts.push_back({"newest-sequence", number_text(static_cast<double>(newest_sequence_))});
    facts.push_back({"newest-unix-ms", number_text(static_cast<double>(newest_unix_ms_))});
    return facts;
  }

 private:
  const SlotSet& among(const SlotSet* items) const { return items == nullptr ? held_ : *items; }

  const IndexContext context_;
  const std::size_t steps_;
  SlotSet held_;
  Synapses synapses_;
  std::atomic<std::uint64_t> newest_sequence_{0};
  std::atomic<std::int64_t> newest_unix_ms_{0};
  recall::SurveyedItems surveyed_;
};

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options& options) {
  auto index = std::make_unique<Palimpsest>(context, options);
  return index;
}

const Registration kRegistration({
    .name = "palimpsest",
    .summary = "Example: bounded synapses over signs, which forget what is old",
    .source = "Parisi 1986",
    .traits = {.exact = true, .saves_structure = true, .recalls = true, .order_dependent = true},
    .create_options = kCreateOptions,
    .recall_options = kRecallOptions,
    .max_dimension = 4096,
    .create = create,
});

}  // namespace
}  // namespace engram
