// SPDX-License-Identifier: Apache-2.0
#include "server/engine/measured_recall.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/hash.h"

namespace engram {
namespace {

constexpr std::size_t kMostWaiting = 16;
constexpr std::size_t kMostMeasured = 10'000;           // neighbours of a search
constexpr Slot kSlotsPerStep = Slot{1} << 16;           // some milliseconds
constexpr std::uint64_t kChoices = 0x6d65617375726564;  // chooses among searches

std::uint64_t threshold_of(double share) {
  return share >= 1 ? ~std::uint64_t{0} : static_cast<std::uint64_t>(std::ldexp(share, 64));
}

/// How many answers are as near as the k-th of the truth. Those that are equally far may differ by
/// a rounding, as they are computed one by one or many at once.
std::size_t count_found(const std::vector<float>& distances, float farthest, std::size_t k) {
  const float limit = farthest + std::abs(farthest) * 1e-6F;
  const auto found = std::count_if(distances.begin(), distances.end(),
                                   [limit](float distance) { return distance <= limit; });
  return std::min(static_cast<std::size_t>(found), k);
}

}  // namespace

/// A measurement on its way.
struct MeasuredRecall::Run {
  SearchToMeasure search;
  std::shared_ptr<const SlotSet> items;
  GracePeriod::Ticket pin;
  Slot next = 0;
  std::vector<Hit> nearest = {};
  std::vector<float> truth = {};  // their distances, at the end
};

MeasuredRecall::MeasuredRecall(double share, const Parts& parts)
    : parts_(parts), threshold_(threshold_of(share)) {}

bool MeasuredRecall::chooses() noexcept {
  return mix(kChoices ^ ++searches_) <= threshold_;
}

void MeasuredRecall::offer(SearchToMeasure search) {
  ++dropped_;  // unless nothing speaks against it
  if (search.version != parts_.changes.version() || search.k > kMostMeasured) return;
  if (waiting_.size() >= kMostWaiting || parts_.operations.is_loaded()) return;
  auto items = parts_.slots.current_items();
  if (!items) return;
  --dropped_;
  waiting_.push(
      std::make_shared<Run>(Run{std::move(search), std::move(*items), parts_.slots.pin_rows()}));
  start_next();
}

void MeasuredRecall::start_next() {
  if (is_measuring_ || waiting_.empty()) return;
  is_measuring_ = true;
  step(waiting_.pop());
}

void MeasuredRecall::step(const std::shared_ptr<Run>& run) {
  parts_.operations.read(
      Lane::kLong,
      [this, run](Scratch&) {
        const SearchToMeasure& search = run->search;
        const Slot end = std::min<Slot>(run->next + kSlotsPerStep, Slot{kMaxSlots});
        run->truth = parts_.view.scan_on(search.query, *run->items, {run->next, end}, search.k,
                                         search.at_ms, run->nearest);
        run->next = end;
      },
      [this, run] {
        if (run->next < run->items->end()) return step(run);
        end(*run);
      });
}

void MeasuredRecall::end(Run& run) {
  parts_.slots.unpin_rows(run.pin);
  is_measuring_ = false;
  if (const std::size_t k = run.truth.size(); k > 0) {
    const std::size_t found = count_found(run.search.distances, run.truth.back(), k);
    if (!counts_.add(k, found)) ++dropped_;
  }
  if (!parts_.operations.is_loaded()) return start_next();
  while (!waiting_.empty()) {
    parts_.slots.unpin_rows(waiting_.pop()->pin);
    ++dropped_;
  }
}

}  // namespace engram
