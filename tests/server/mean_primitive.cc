// SPDX-License-Identifier: Apache-2.0
// `mean`: the least that can recall. Every cue becomes the mean of all items, or, where it is
// masked, keeps what is visible and takes the rest from the mean. Whether an item was met twice, or
// not at all, shows in every number. `mean.saved` is the same for an engine that keeps its
// structure and gives its writes turns. Both tell which thread searched last.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <thread>

#include "core/registry.h"
#include "core/slot_set_io.h"
#include "core/top_k.h"

namespace engram {
namespace {

constexpr OptionSpec kRecallOptions[] = {real_option("SCALE", 1, 0, 1e6, "multiplies energies")};

/// Sums in another order differ in the last places of a double only.
double rounded(double value) {
  return static_cast<double>(static_cast<float>(value));
}

class Mean final : public Index, private Recaller {
 public:
  explicit Mean(const IndexContext& context) : context_(context) {}

  Status insert(const Insertion& item, Scratch&) override {
    const Slot slot = item.slot;
    const auto added = held_.insert(slot);
    return added ? Status() : tl::unexpected(added.error());
  }
  void erase(Slot slot, Scratch&) override { held_.erase(slot); }
  Status search(Query query, const SearchParams& params, Scratch&,
                std::vector<Hit>& hits) const override {
    searched_by_.store(std::hash<std::thread::id>{}(std::this_thread::get_id()));
    const Bound bound(context_.kernel, query, context_.store);
    TopK nearest(params.k, hits);
    for (const Slot slot : members(held_)) nearest.offer({bound.score(slot), slot});
    nearest.finish();
    return {};
  }
  std::size_t size() const noexcept override { return held_.size(); }
  std::size_t memory_bytes() const noexcept override { return held_.memory_bytes(); }
  Recaller* recaller() noexcept override { return this; }
  Status save(SectionWriter& writer, const SlotSet& items) const override {
    return save_slots(writer, "mean.items", items);
  }
  Status load(SectionReader& reader, const SlotSet& items) override {
    SlotSet saved;
    ENGRAM_TRY(load_slots(reader, "mean.items", Slot{kMaxSlots}, saved));
    return held_.assign(items);
  }

 private:
  class Walk;

  Status recall(const Cue& cue, const RecallParams& params, Scratch&,
                Recall& recall) const override;
  Result<double> energy(std::span<const float> state, const RecallParams& params,
                        Scratch&) const override {
    const std::vector<Slot> items = members(params.items == nullptr ? held_ : *params.items);
    if (items.empty()) return std::numeric_limits<double>::infinity();
    return scale(params.options) * distance(state, mean(items));
  }
  Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const override;
  void adopt(const Tuning& tuning) override {
    for (const auto& [name, value] : tuning) {
      if (name == "radius") radius_.store(value);
    }
  }
  std::vector<Fact> describe() const override {
    return {{"radius", std::to_string(radius_.load())},
            {"searched-by", std::to_string(searched_by_.load())}};
  }

  /// Lets others run in between: a real walk is long enough to be overtaken by writes.
  static std::vector<Slot> members(const SlotSet& set) {
    std::vector<Slot> slots;
    set.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
      slots.push_back(slot);
      if (slots.size() % 64 == 0) std::this_thread::yield();
    });
    return slots;
  }
  static double scale(const Options* options) {
    return options == nullptr ? 1 : options->real("SCALE");
  }
  std::span<const float> row(Slot slot) const {
    return {reinterpret_cast<const float*>(context_.store.row(slot)), context_.store.dim()};
  }
  std::vector<float> mean(const std::vector<Slot>& items) const {
    std::vector<double> sum(context_.store.dim());
    for (const Slot slot : items) {
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += double{row(slot)[i]};
    }
    std::vector<float> state(sum.size());
    for (std::size_t i = 0; i < sum.size(); ++i) {
      state[i] = static_cast<float>(sum[i] / static_cast<double>(items.size()));
    }
    return state;
  }
  static double distance(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
    return rounded(std::sqrt(sum));
  }
  Share nearest(const std::vector<Slot>& items, std::span<const float> state) const {
    const auto found = std::min_element(items.begin(), items.end(), [&](Slot a, Slot b) {
      return distance(row(a), state) < distance(row(b), state);
    });
    return {*found, 1 / static_cast<double>(items.size())};
  }

  const IndexContext context_;
  mutable std::atomic<std::size_t> searched_by_ = 0;  // a hash of the thread's id
  SlotSet held_;
  std::atomic<double> radius_ = 0;  // 0: not tuned
};

Status Mean::recall(const Cue& cue, const RecallParams& params, Scratch&, Recall& recall) const {
  if (context_.store.metric() == Metric::kDot) {
    return fail(ErrorCode::kInvalidArgument, "the mean means nothing under dot");
  }
  recall = {};
  recall.state.assign(cue.vector.begin(), cue.vector.end());
  recall.beta = radius_.load();
  const std::vector<Slot> items = members(params.items == nullptr ? held_ : *params.items);
  if (items.empty()) return {};
  const std::vector<float> mean = this->mean(items);
  recall.state = mean;
  if (cue.visible != nullptr) {
    for (const auto [begin, end] : *cue.visible) {
      for (std::size_t i = begin; i < end; ++i) recall.state[i] = cue.vector[i];
    }
  }
  recall.attractor = nearest(items, recall.state);
  recall.distance = static_cast<float>(distance(row(recall.attractor->slot), recall.state));
  recall.onestep = nearest(items, cue.vector);
  recall.effective_count = static_cast<double>(items.size());
  recall.entropy = std::log(recall.effective_count);
  recall.kind = items.size() == 1 ? RecallKind::kPattern : RecallKind::kGlobal;
  for (std::size_t i = 0; i < std::min(params.top, items.size()); ++i) {
    recall.support.push_back({items[i], recall.attractor->weight});
  }
  const double factor = scale(params.options);
  const double first = factor * distance(cue.vector, mean);
  const double last = factor * distance(recall.state, mean);
  recall.energies = {first, (first + last) / 2, last};
  recall.steps = 2;
  recall.converged = true;
  if (radius_.load() > 0) recall.novel = first > radius_.load();
  return {};
}

/// One item in each step.
class Mean::Walk final : public Survey {
 public:
  Walk(const Mean& mean, const SurveyParams& params)
      : mean_(mean), params_(params), sample_(members(*params.items)), center_(mean.mean(sample_)) {
    sample_.resize(std::min(sample_.size(), params.sample));
  }
  bool step(Scratch&) override {
    if (done_ < sample_.size()) {
      const double met = distance(mean_.row(sample_[done_++]), center_);
      radius_ = std::max(radius_, scale(params_.options) * met);
    }
    return done_ < sample_.size();
  }
  Result<Tuning> tuning() const override {
    if (sample_.size() < 2) {
      return fail(ErrorCode::kInvalidArgument, "at least 2 items are needed to tune, there are " +
                                                   std::to_string(sample_.size()));
    }
    return Tuning{{"radius", radius_}, {"items", static_cast<double>(sample_.size())}};
  }
  std::vector<Fact> diagnosis() const override {
    return {{"sample", std::to_string(sample_.size())},
            {"radius", std::to_string(radius_)},
            {"mode", params_.tunes ? "tunes" : "looks"}};
  }

 private:
  const Mean& mean_;
  const SurveyParams params_;
  std::vector<Slot> sample_;
  const std::vector<float> center_;
  std::size_t done_ = 0;
  double radius_ = 0;
};

Result<std::unique_ptr<Survey>> Mean::survey(const SurveyParams& params) const {
  return std::make_unique<Walk>(*this, params);
}

Result<std::unique_ptr<Index>> create(const IndexContext& context, const Options&) {
  auto mean = std::make_unique<Mean>(context);
  return mean;
}

const Primitive kMean = {.name = "mean",
                         .summary = "For tests: the mean of all items",
                         .source = "none",
                         .traits = {.exact = true, .concurrent = true, .recalls = true},
                         .recall_options = kRecallOptions,
                         .create = create};

Primitive saved(Primitive primitive) {
  primitive.name = "mean.saved";
  primitive.traits.concurrent = false;
  primitive.traits.saves_structure = true;
  return primitive;
}

const Registration kRegistration(kMean);
const Registration kSavedRegistration(saved(kMean));

}  // namespace
}  // namespace engram
