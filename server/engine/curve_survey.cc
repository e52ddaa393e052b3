// SPDX-License-Identifier: Apache-2.0
#include "server/engine/curve_survey.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "server/engine/recall_curve.h"

namespace engram {
namespace {

constexpr auto kNeighbors = RecallCurve::kNeighbors;
constexpr std::size_t kMostNeighbors = kNeighbors.back();
/// With so many the recall at 10 that is found lies within 0.01 of the truth, mostly.
constexpr std::size_t kUsualSample = 512;
constexpr std::size_t kFewestAsked = 64;
/// What is scanned in all: half a minute of one worker where rows are large.
constexpr std::size_t kMostRows = std::size_t{1} << 29;
/// Where searches that keep the most find too little the curve ends, and a scan is better. So many
/// cost about as much.
constexpr std::array<std::size_t, 22> kEfs = {1,   2,    3,    4,    6,    8,     12,  16,
                                              24,  32,   48,   64,   96,   128,   192, 256,
                                              512, 1024, 2048, 4096, 8192, 16'384};
/// A search that keeps less than this part of k finds hardly anything.
constexpr std::size_t kNarrowest = 8;

std::size_t sample_size(std::size_t items, std::size_t asked) {
  const std::size_t affordable =
      std::max(kFewestAsked, kMostRows / std::max<std::size_t>(items, 1));
  return std::min({std::max(asked, kUsualSample), affordable, items});
}

class CurveSurvey final : public Survey {
 public:
  CurveSurvey(std::unique_ptr<Survey> survey, const ReadView& view, const SurveyParams& params)
      : survey_(std::move(survey)), view_(view), params_(params) {
    const std::size_t items = params.items->size();
    if (view.spec().primitive->traits.exact || items < kFewestForCurve) return;
    std::vector<Slot> all;
    params.items->list(all);
    std::mt19937_64 random(params.seed);
    std::sample(all.begin(), all.end(), std::back_inserter(sample_),
                sample_size(all.size(), params.sample), random);
  }

  bool step(Scratch& scratch) override {
    if (survey_ != nullptr && !is_surveyed_) {
      is_surveyed_ = !survey_->step(scratch);
      return !is_surveyed_ || !sample_.empty();
    }
    if (next_ < sample_.size()) ask(sample_[next_++], scratch);
    return next_ < sample_.size();
  }

  Result<Tuning> tuning() const override {
    Result<Tuning> tuning = survey_ == nullptr ? Tuning() : survey_->tuning();
    if (!tuning || asked_ == 0) return tuning;
    RecallCurve curve(params_.items->size(), asked_);
    for (std::size_t which = 0; which < kNeighbors.size(); ++which) {
      const auto sought = static_cast<double>(asked_ * kNeighbors[which]);
      for (std::size_t level = 0; level < kEfs.size(); ++level) {
        if (!is_tried(which, level)) continue;
        const double recall = static_cast<double>(found_[which][level]) / sought;
        curve.add(which, kEfs[level], recall);
        if (recall == 1) break;
      }
    }
    const Tuning numbers = curve.numbers();
    tuning->insert(tuning->end(), numbers.begin(), numbers.end());
    return tuning;
  }

  std::vector<Fact> diagnosis() const override {
    return survey_ == nullptr ? std::vector<Fact>() : survey_->diagnosis();
  }

 private:
  [[nodiscard]] bool is_tried(std::size_t which, std::size_t level) const {
    return kEfs[level] * kNarrowest >= kNeighbors[which] && kEfs[level] <= params_.items->size();
  }

  void ask(Slot own, Scratch& scratch) {
    std::vector<float> vector(view_.spec().dim);
    view_.read(own, vector);
    AlignedBuffer storage;
    const Query query = view_.prepare(vector, storage);
    view_.scan(query, *params_.items, kMostNeighbors + 1, truth_);
    std::erase_if(truth_, [own](const Hit& hit) { return hit.slot == own; });
    if (truth_.size() < kMostNeighbors) return;
    ++asked_;
    for (std::size_t which = 0; which < kNeighbors.size(); ++which) ask(own, query, which, scratch);
  }

  /// From the first ef on that finds all, all do.
  void ask(Slot own, Query query, std::size_t which, Scratch& scratch) {
    const std::size_t k = kNeighbors[which];
    std::size_t found = 0;
    for (std::size_t level = 0; level < kEfs.size(); ++level) {
      if (!is_tried(which, level)) continue;
      if (found < k) found = count_found(own, query, k, kEfs[level], scratch);
      found_[which][level] += found;
    }
  }

  /// Of the k nearest, by distance: of those that are equally far any will do.
  std::size_t count_found(Slot own, Query query, std::size_t k, std::size_t ef, Scratch& scratch) {
    const SearchParams params = {.k = k, .ef = ef, .is_narrow = true};
    if (!view_.index().search_as_stranger(own, query, params, scratch, answers_)) return 0;
    const float farthest = truth_[k - 1].score;
    return static_cast<std::size_t>(
        std::count_if(answers_.begin(), answers_.end(),
                      [farthest](const Hit& hit) { return hit.score <= farthest; }));
  }

  const std::unique_ptr<Survey> survey_;  // null: only the curve
  const ReadView& view_;
  const SurveyParams params_;
  bool is_surveyed_ = false;
  std::vector<Slot> sample_;
  std::size_t next_ = 0;  // of the sample
  std::size_t asked_ = 0;
  std::array<std::array<std::size_t, kEfs.size()>, kNeighbors.size()> found_{};  // of all asked
  std::vector<Hit> truth_;
  std::vector<Hit> answers_;
};

}  // namespace

std::unique_ptr<Survey> with_curve(std::unique_ptr<Survey> survey, const ReadView& view,
                                   const SurveyParams& params) {
  return std::make_unique<CurveSurvey>(std::move(survey), view, params);
}

}  // namespace engram
