// SPDX-License-Identifier: Apache-2.0
#include "server/engine/census.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/slot.h"

namespace engram {
namespace {

class Census final : public Survey {
 public:
  Census(std::unique_ptr<Survey> survey, const Index& index, const SurveyParams& params)
      : survey_(std::move(survey)), index_(index) {
    std::vector<Slot> all;
    params.items->list(all);
    std::mt19937_64 random(params.seed);
    std::sample(all.begin(), all.end(), std::back_inserter(sample_), params.sample, random);
  }

  bool step(Scratch& scratch) override {
    if (is_surveyed_) return look(scratch);
    is_surveyed_ = !survey_->step(scratch);
    return true;
  }

  Result<Tuning> tuning() const override { return survey_->tuning(); }

  std::vector<Fact> diagnosis() const override {
    std::vector<Fact> facts = survey_->diagnosis();
    if (sought_ == 0) return facts;
    facts.push_back({"sought-items", std::to_string(sought_)});
    facts.push_back({"unfound-items", std::to_string(unfound_)});
    return facts;
  }

 private:
  bool look(Scratch& scratch) {
    constexpr std::size_t kPerStep = 8;
    const std::size_t end = std::min(next_ + kPerStep, sample_.size());
    for (; next_ < end; ++next_) {
      const std::optional<bool> is_found = index_.finds(sample_[next_], scratch);
      if (!is_found) continue;
      ++sought_;
      if (!*is_found) ++unfound_;
    }
    return next_ < sample_.size();
  }

  const std::unique_ptr<Survey> survey_;
  const Index& index_;
  std::vector<Slot> sample_;
  std::size_t next_ = 0;  // of the sample
  bool is_surveyed_ = false;
  std::size_t sought_ = 0;
  std::size_t unfound_ = 0;
};

}  // namespace

std::unique_ptr<Survey> with_census(std::unique_ptr<Survey> survey, const Index& index,
                                    const SurveyParams& params) {
  return std::make_unique<Census>(std::move(survey), index, params);
}

}  // namespace engram
