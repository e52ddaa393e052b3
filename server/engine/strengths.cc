// SPDX-License-Identifier: Apache-2.0
#include "server/engine/strengths.h"

#include <algorithm>
#include <utility>

namespace engram {

std::int64_t Strengths::take_time(const StrengthGain& gain) noexcept {
  const std::int64_t ms = gain.at_ms ? *gain.at_ms : std::max(gain.wall_ms, last_ms_);
  pass_time(ms);
  return ms;
}

void Strengths::pass_time(std::int64_t ms) noexcept {
  last_ms_ = std::max(last_ms_, ms);
}

Status Strengths::ensure(Slot end) {
  ENGRAM_TRY(column_.ensure(end));
  return items_.ensure(end);
}

void Strengths::set(Slot slot, double log_strength) {
  const bool is_new = !items_.contains(slot);
  const double former = is_new ? kNone : this->log_strength(slot);
  column_[slot].store(log_strength, std::memory_order_relaxed);
  if (is_new) items_.add(slot);
  const std::size_t block = slot / kBlock;
  if (block >= greatest_of_.size()) greatest_of_.resize(block + 1, kNone);
  if (log_strength >= former) {
    greatest_of_[block] = std::max(greatest_of_[block], log_strength);
    if (log_strength > greatest()) greatest_.store(log_strength, std::memory_order_relaxed);
  } else if (former == greatest_of_[block]) {
    find_greatest_of(block);
  }
}

void Strengths::remove(Slot slot) {
  if (!items_.erase(slot)) return;
  const std::size_t block = slot / kBlock;
  if (log_strength(slot) == greatest_of_[block]) find_greatest_of(block);
}

/// The strongest of a block may have become weaker: some microseconds, for 1,024 slots and the
/// number of blocks.
void Strengths::find_greatest_of(std::size_t block) {
  const double former = std::exchange(greatest_of_[block], kNone);
  const auto begin = static_cast<Slot>(block * kBlock);
  items_.for_each(begin, begin + Slot{kBlock}, [&](Slot slot) {
    greatest_of_[block] = std::max(greatest_of_[block], log_strength(slot));
  });
  if (former != greatest() || greatest_of_[block] == former) return;
  greatest_.store(*std::max_element(greatest_of_.begin(), greatest_of_.end()),
                  std::memory_order_relaxed);
}

void Strengths::begin_write(std::string_view key, Slot slot) {
  Pending& pending = pending_[std::string(key)];
  pending.slot = slot;
  ++pending.writes;
}

void Strengths::end_write(std::string_view key) {
  const auto found = pending_.find(key);
  if (--found.value().writes == 0) pending_.erase(found);
}

std::optional<Slot> Strengths::pending(std::string_view key) const {
  const auto found = pending_.find(key);
  if (found == pending_.end()) return std::nullopt;
  return found->second.slot;
}

std::size_t Strengths::memory_bytes() const noexcept {
  return sizeof(*this) + column_.ready_bytes() + items_.memory_bytes() +
         greatest_of_.capacity() * sizeof(double);
}

void StrengthBias::handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept {
  const double omega = strengths_.decay().omega;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    // A touch may have made one the strongest since.
    nats[i] = omega * std::max(0.0, greatest_ - strengths_.log_strength(slots[i]));
  }
}

}  // namespace engram
