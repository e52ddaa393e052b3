// SPDX-License-Identifier: Apache-2.0
#include "server/requests/map.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/groups/principal_axes.h"
#include "core/vector_store.h"

namespace engram {
namespace {

constexpr std::size_t kPlane = 2;
/// Iterated together, so that the two of the map come out of a space that has settled.
constexpr std::size_t kIterated = 6;
constexpr double kLeastShare = 1e-9;

using Matrix = std::array<std::array<double, kIterated>, kIterated>;
using Direction = std::array<double, kIterated>;

double product(const Direction& a, const Direction& b) {
  double sum = 0;
  for (std::size_t i = 0; i < kIterated; ++i) sum += a[i] * b[i];
  return sum;
}

/// The direction along which `covariance` is greatest, and how great it is there; by power
/// iteration.
std::pair<Direction, double> leading(const Matrix& covariance) {
  constexpr int kRounds = 200;
  Direction found = {};
  for (std::size_t i = 0; i < kIterated; ++i) found[i] = 1 / static_cast<double>(i + 1);
  double length = 0;
  for (int round = 0; round < kRounds; ++round) {
    Direction next = {};
    for (std::size_t i = 0; i < kIterated; ++i) next[i] = product(covariance[i], found);
    length = std::sqrt(product(next, next));
    if (!(length > 0)) return {Direction{}, 0};
    for (std::size_t i = 0; i < kIterated; ++i) found[i] = next[i] / length;
  }
  return {found, length};
}

/// A map being drawn, in steps of some milliseconds.
class Drawing {
 public:
  Drawing(MapRequest request, Responder<MapAnswer> responder)
      : request_(std::move(request)), responder_(std::move(responder)) {}

  /// On a worker. Whether there is more to do.
  bool step(const ReadView& view, const SlotSet& items) {
    if (next_slot_ < items.end()) {
      choose(items);
    } else if (!has_axes_) {
      const Status found = find_axes(view);
      if (!found) {
        responder_.take(tl::unexpected(found.error()));
        return false;
      }
    } else if (placed_ < slots_.size()) {
      place(view);
    } else {
      answer(view);
      return false;
    }
    return true;
  }
  void finish() const { responder_.finish(0); }

 private:
  /// Takes items that are evenly spaced.
  void choose(const SlotSet& items) {
    constexpr Slot kStep = Slot{1} << 18U;
    const std::size_t size = items.size();
    const std::size_t wanted = std::min(request_.sample, size);
    const Slot end = std::min(items.end() - next_slot_, kStep) + next_slot_;
    items.for_each(next_slot_, end, [&](Slot slot) {
      if (met_ * wanted / size != (met_ + 1) * wanted / size) slots_.push_back(slot);
      ++met_;
    });
    next_slot_ = end;
  }

  /// From a copy of as many rows as principal_axes() looks at, evenly spaced as well.
  Status find_axes(const ReadView& view) {
    constexpr std::size_t kNumbers = std::size_t{1} << 19;
    constexpr std::size_t kLeast = 8;
    constexpr std::size_t kMost = 1024;
    has_axes_ = true;
    places_.resize(slots_.size());
    if (slots_.empty()) return {};
    const IndexSpec& spec = view.spec();
    row_.resize(spec.dim);
    auto store = VectorStore::create(spec.dim, spec.metric);
    if (!store) return tl::unexpected(std::move(store.error()));
    const std::size_t count =
        std::min(slots_.size(), std::clamp(kNumbers / spec.dim, kLeast, kMost));
    std::vector<Slot> copies;
    copies.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      const auto copy = (*store)->allocate();
      if (!copy) return tl::unexpected(copy.error());
      view.read(slots_[i * slots_.size() / count], row_);
      (*store)->write(*copy, row_);
      copies.push_back(*copy);
    }
    axes_ = principal_axes(OrderedRows(**store, std::move(copies)), kIterated);
    return {};
  }

  /// As the index compares it: of unit length under cosine.
  void read(const ReadView& view, Slot slot) {
    view.read(slot, row_);
    if (view.spec().metric != Metric::kCosine) return;
    double squares = 0;
    for (const float value : row_) squares += double{value} * value;
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (float& value : row_) value = static_cast<float>(value * scale);
  }

  void place(const ReadView& view) {
    constexpr std::size_t kNumbers = std::size_t{1} << 19;
    const std::size_t count = axes_.count;
    const std::size_t end =
        std::min(slots_.size(), placed_ + std::max(kNumbers / row_.size(), kPlane));
    for (; placed_ < end; ++placed_) {
      read(view, slots_[placed_]);
      Direction& at = places_[placed_];
      at = {};
      for (std::size_t i = 0; i < row_.size(); ++i) {
        for (std::size_t k = 0; k < count; ++k) {
          at[k] += double{row_[i]} * axes_.values[i * count + k];
        }
      }
      for (std::size_t k = 0; k < count; ++k) mean_[k] += at[k];
    }
  }

  /// Of the places, without their mean.
  [[nodiscard]] Matrix covariance() const {
    Matrix sums = {};
    for (const Direction& at : places_) {
      for (std::size_t i = 0; i < kIterated; ++i) {
        for (std::size_t j = 0; j < kIterated; ++j) {
          sums[i][j] += (at[i] - mean_[i]) * (at[j] - mean_[j]);
        }
      }
    }
    return sums;
  }

  void answer(const ReadView& view) {
    const Status sound = request_.index.check_soundness();
    if (!sound) return responder_.take(tl::unexpected(sound.error()));
    if (slots_.empty()) return responder_.take(MapAnswer{});
    for (double& value : mean_) value /= static_cast<double>(slots_.size());
    Matrix left = covariance();
    double variance = 0;
    for (std::size_t i = 0; i < kIterated; ++i) variance += left[i][i];
    const std::size_t dim = row_.size();
    std::vector<float> axes(kPlane * dim);
    std::array<Direction, kPlane> plane;
    MapAnswer map = {.points = {}, .axes = axes, .origin = {}, .shares = {}};
    for (std::size_t axis = 0; axis < kPlane; ++axis) {
      auto [direction, length] = leading(left);
      // What rounding has left is no direction.
      if (length <= kLeastShare * variance) direction = {};
      plane[axis] = direction;
      map.origin[axis] = product(mean_, direction);
      map.shares[axis] = length > kLeastShare * variance ? length / variance : 0;
      for (std::size_t i = 0; i < dim; ++i) {
        double value = 0;
        for (std::size_t k = 0; k < axes_.count; ++k) {
          value += direction[k] * axes_.values[i * axes_.count + k];
        }
        axes[axis * dim + i] = static_cast<float>(value);
      }
      for (std::size_t i = 0; i < kIterated; ++i) {
        for (std::size_t j = 0; j < kIterated; ++j) {
          left[i][j] -= length * direction[i] * direction[j];
        }
      }
    }
    std::vector<MapPoint> points;
    points.reserve(slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      points.push_back({view.key_of(slots_[i]), view.attributes_of(slots_[i]),
                        static_cast<float>(product(places_[i], plane[0]) - map.origin[0]),
                        static_cast<float>(product(places_[i], plane[1]) - map.origin[1])});
    }
    map.points = points;
    responder_.take(map);
  }

  const MapRequest request_;
  const Responder<MapAnswer> responder_;
  Slot next_slot_ = 0;
  std::size_t met_ = 0;
  std::vector<Slot> slots_;
  bool has_axes_ = false;
  PrincipalAxes axes_ = {};
  std::vector<float> row_;  // [dim], the last that was read
  std::size_t placed_ = 0;
  std::vector<Direction> places_;  // along the iterated axes; of those that have been placed
  Direction mean_ = {};            // of places_; until all are placed, their sum
};

}  // namespace

void start(Store&, MapRequest request, const Responder<MapAnswer>& responder) {
  if (const Status checked = kMapSample.check(request.sample); !checked) {
    return responder.refuse(checked.error());
  }
  const IndexRef index = request.index;
  const auto drawing = std::make_shared<Drawing>(std::move(request), responder);
  const Status begun =
      index.collection->visit_items([drawing](const ReadView& view, const SlotSet& items,
                                              Scratch&) { return drawing->step(view, items); },
                                    [drawing] { drawing->finish(); });
  if (!begun) responder.refuse(begun.error());
}

}  // namespace engram
