// SPDX-License-Identifier: Apache-2.0
#include "core/groups/grouping.h"

#include <cmath>
#include <string>
#include <utility>

#include "core/groups/kmeans.h"
#include "core/groups/leader.h"
#include "core/groups/mean_shift.h"
#include "core/groups/sketches.h"
#include "core/text.h"

namespace engram {
namespace {

/// A method, and the sketches that it works on.
class SketchedGrouping final : public Grouping {
 public:
  SketchedGrouping(std::unique_ptr<Sketches> space, std::unique_ptr<Grouping> method)
      : space_(std::move(space)), method_(std::move(method)) {}

  bool step() override { return method_->step(); }
  [[nodiscard]] std::size_t progress() const noexcept override { return method_->progress(); }
  [[nodiscard]] std::size_t progress_end() const noexcept override {
    return method_->progress_end();
  }
  std::vector<std::uint32_t> take_groups() override { return method_->take_groups(); }

 private:
  const std::unique_ptr<Sketches> space_;
  const std::unique_ptr<Grouping> method_;
};

}  // namespace

Result<std::unique_ptr<Grouping>> make_grouping(const GroupingParams& params,
                                                const GroupedItems& items,
                                                std::string_view kernel) {
  if (!(params.radius >= 0) || !std::isfinite(params.radius)) {
    return fail(
        ErrorCode::kInvalidArgument,
        "the radius of groups must be a number, 0 or more, got " + number_text(params.radius));
  }
  auto space = Sketches::create(items.rows, kernel);
  if (!space) return tl::unexpected(std::move(space.error()));
  auto algebra = make_row_algebra(kernel, items.rows.dim());
  if (!algebra) return tl::unexpected(std::move(algebra.error()));
  std::unique_ptr<Grouping> method;
  switch (params.method) {
    case GroupMethod::kLeader:
      method = std::make_unique<LeaderGrouping>(**space, params.radius);
      break;
    case GroupMethod::kMeanShift:
      method =
          std::make_unique<MeanShiftGrouping>(**space, items, params.radius, std::move(*algebra));
      break;
    case GroupMethod::kKMeans:
      method = std::make_unique<KMeansGrouping>(**space, items, params, std::move(*algebra));
      break;
  }
  return std::make_unique<SketchedGrouping>(std::move(*space), std::move(method));
}

std::vector<std::uint32_t> in_order_of_first(std::vector<std::uint32_t> labels) {
  constexpr std::uint32_t kUnseen = 0xffffffffU;
  std::vector<std::uint32_t> number_of;
  std::uint32_t groups = 0;
  for (std::uint32_t& label : labels) {
    if (label >= number_of.size()) number_of.resize(std::size_t{label} + 1, kUnseen);
    if (number_of[label] == kUnseen) number_of[label] = groups++;
    label = number_of[label];
  }
  return labels;
}

std::vector<std::vector<std::uint32_t>> members_of(const std::vector<std::uint32_t>& groups) {
  std::vector<std::vector<std::uint32_t>> members;
  for (std::size_t item = 0; item < groups.size(); ++item) {
    if (groups[item] >= members.size()) members.resize(std::size_t{groups[item]} + 1);
    members[groups[item]].push_back(static_cast<std::uint32_t>(item));
  }
  return members;
}

}  // namespace engram
