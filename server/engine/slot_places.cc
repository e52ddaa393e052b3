// SPDX-License-Identifier: Apache-2.0
#include "server/engine/slot_places.h"

#include <utility>

namespace engram {
namespace {

/// Places behind the last home: enough but for one table in some thousands, which then gets more.
std::size_t places_behind(std::size_t homes) {
  constexpr std::size_t kMost = 32;
  return std::min(2 + homes / 8, kMost);
}

}  // namespace

/// Moves what lies from there on to the next free place.
void SlotPlaces::insert(std::size_t i, Place place) {
  const auto begin = places_.begin() + static_cast<std::ptrdiff_t>(i);
  const auto free = std::find(begin, places_.end(), kFree);
  if (free + 1 == places_.end()) {
    places_.resize(places_.size() + places_behind(homes_), kFree);
    return insert(i, place);
  }
  std::move_backward(begin, free, free + 1);
  *begin = place;
  ++count_;
}

/// What lies behind it moves up, unless it is at home.
void SlotPlaces::remove(std::size_t i) noexcept {
  for (; places_[i + 1] != kFree && home_of(tag_of(places_[i + 1])) <= i; ++i) {
    places_[i] = places_[i + 1];
  }
  places_[i] = kFree;
  --count_;
}

void SlotPlaces::grow(std::size_t homes) {
  homes_ = static_cast<std::uint32_t>(homes);
  std::vector<Place> larger(homes + places_behind(homes), kFree);
  std::size_t next = 0;
  for (const Place place : places_) {
    if (place == kFree) continue;
    next = std::max(next, home_of(tag_of(place)));
    if (next + 1 >= larger.size()) larger.resize(next + 1 + places_behind(homes), kFree);
    larger[next++] = place;
  }
  places_ = std::move(larger);
}

}  // namespace engram
