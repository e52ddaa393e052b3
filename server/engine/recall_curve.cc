// SPDX-License-Identifier: Apache-2.0
#include "server/engine/recall_curve.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/slot.h"
#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kCurveItems = "curve-items";
constexpr std::string_view kCurveSample = "curve-sample";
constexpr std::string_view kRecallAt = "recall-at-";  // then k, kWithEf and ef
constexpr std::string_view kWithEf = "-ef-";

std::string point_name(std::size_t k, std::size_t ef) {
  return std::string(kRecallAt) + std::to_string(k) + std::string(kWithEf) + std::to_string(ef);
}

/// What a point's name says of k and ef.
std::optional<std::pair<std::size_t, std::size_t>> read_point(std::string_view name) {
  if (!name.starts_with(kRecallAt)) return std::nullopt;
  name.remove_prefix(kRecallAt.size());
  const std::size_t middle = name.find(kWithEf);
  if (middle == std::string_view::npos) return std::nullopt;
  const auto k = parse_number<std::size_t>(name.substr(0, middle));
  const auto ef = parse_number<std::size_t>(name.substr(middle + kWithEf.size()));
  if (!k || !ef || *ef == 0) return std::nullopt;
  return std::pair(*k, *ef);
}

/// Of a number that was kept; nothing if it is none of a count.
std::optional<std::size_t> count_of(double number) {
  if (!(number >= 1 && number <= kMaxSlots)) return std::nullopt;
  return static_cast<std::size_t>(number);
}

/// The logarithm of the share that is missed. Between two ef it is nearly a straight line in log
/// ef.
double log_missed(double recall) {
  constexpr double kLeast = 1e-4;
  return std::log(std::max(1 - recall, kLeast));
}

}  // namespace

void RecallCurve::add(std::size_t which, std::size_t ef, double recall) {
  Points& points = points_[which];
  // A greater ef finds no less: what seems to is the sample's chance.
  if (!points.empty()) recall = std::max(recall, points.back().recall);
  points.push_back({ef, recall});
}

std::optional<double> RecallCurve::log_ef(std::size_t which, double recall) const {
  const Points& points = points_[which];
  const auto enough = std::find_if(points.begin(), points.end(),
                                   [&](const Point& point) { return point.recall >= recall; });
  if (enough == points.end()) return std::nullopt;
  const double high = std::log(static_cast<double>(enough->ef));
  if (enough == points.begin()) return high;
  const Point& below = *(enough - 1);
  const double low = std::log(static_cast<double>(below.ef));
  const double drop = log_missed(below.recall) - log_missed(enough->recall);
  if (!(drop > 0)) return high;
  const double share = (log_missed(below.recall) - log_missed(recall)) / drop;
  return low + std::clamp(share, 0.0, 1.0) * (high - low);
}

/// Between two k that were measured it goes by the logarithms, beyond the last in proportion.
std::optional<double> RecallCurve::ef_for(std::size_t k, double recall) const {
  const auto above = static_cast<std::size_t>(
      std::find_if(kNeighbors.begin(), kNeighbors.end(), [k](std::size_t n) { return n >= k; }) -
      kNeighbors.begin());
  const std::size_t which = std::min(above, kNeighbors.size() - 1);
  const auto log_k = [](std::size_t n) { return std::log(static_cast<double>(n)); };
  auto found = log_ef(which, recall);
  if (!found) return std::nullopt;
  if (above == kNeighbors.size()) {
    found = *found + log_k(k) - log_k(kNeighbors.back());
  } else if (above > 0 && kNeighbors[above] != k) {
    const auto fewer = log_ef(above - 1, recall);
    const double share = (log_k(k) - log_k(kNeighbors[above - 1])) /
                         (log_k(kNeighbors[above]) - log_k(kNeighbors[above - 1]));
    if (fewer) found = *fewer + share * (*found - *fewer);
  }
  return std::clamp<double>(std::exp(*found), 1, kMaxSlots);
}

Tuning RecallCurve::numbers() const {
  Tuning numbers = {{std::string(kCurveItems), static_cast<double>(items_)},
                    {std::string(kCurveSample), static_cast<double>(sample_)}};
  for (std::size_t which = 0; which < kNeighbors.size(); ++which) {
    for (const Point& point : points_[which]) {
      numbers.emplace_back(point_name(kNeighbors[which], point.ef), point.recall);
    }
  }
  return numbers;
}

/// Whatever the numbers are, ef_for() has an answer.
std::optional<RecallCurve> RecallCurve::from(const Tuning& tuning) {
  std::optional<std::size_t> items;
  std::optional<std::size_t> sample;
  for (const auto& [name, value] : tuning) {
    if (name == kCurveItems) items = count_of(value);
    if (name == kCurveSample) sample = count_of(value);
  }
  if (!items || !sample) return std::nullopt;
  RecallCurve curve(*items, *sample);
  for (const auto& [name, value] : tuning) {
    const auto point = read_point(name);
    if (!point || !(value >= 0 && value <= 1)) continue;
    const auto* const which = std::find(kNeighbors.begin(), kNeighbors.end(), point->first);
    if (which == kNeighbors.end()) continue;
    const auto index = static_cast<std::size_t>(which - kNeighbors.begin());
    if (curve.points_[index].empty() || curve.points_[index].back().ef < point->second) {
      curve.add(index, point->second, value);
    }
  }
  return curve;
}

bool RecallCurve::is_number(std::string_view name) noexcept {
  return name == kCurveItems || name == kCurveSample || name.starts_with(kRecallAt);
}

}  // namespace engram
