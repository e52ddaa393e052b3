// SPDX-License-Identifier: Apache-2.0
#include "server/engine/strengths.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/assert.h"

namespace engram {

bool StrengthEffect::apply(const Decay& decay, Trace& trace) const {
  if (!(gain > 0)) return weaken(factor, trace);
  add_gain(decay, gain, ms, trace);
  return true;
}

std::int64_t Strengths::take_time(const StrengthGain& gain) noexcept {
  const std::int64_t ms = time_of(gain);
  pass_time(ms);
  return ms;
}

void Strengths::pass_time(std::int64_t ms) noexcept {
  last_ms_ = std::max(last_ms_, ms);
}

Status Strengths::ensure(Slot end) {
  ENGRAM_TRY(levels_.ensure(end));
  if (has_traces()) {
    ENGRAM_TRY(traces_.ensure(end));
    ENGRAM_TRY(peak_.ensure(end));
  }
  ENGRAM_TRY(items_.ensure(end));
  end_ = std::max(end_, end);
  return {};
}

Status Strengths::allow_rules() {
  if (has_traces()) return {};
  ENGRAM_TRY(traces_.ensure(end_));
  ENGRAM_TRY(peak_.ensure(end_));
  allows_rules_ = true;
  return {};
}

void Strengths::set(Slot slot, const Trace& trace) {
  const bool is_new = !items_.contains(slot);
  const double former = is_new ? kNone : level(slot);
  const bool is_own = trace.kind != TraceKind::kLevel;
  ENGRAM_ASSERT(!is_own || has_traces());
  if (has_traces()) traces_.store(slot, trace);
  // After the trace: who meets NaN finds it.
  levels_[slot].store(is_own ? std::numeric_limits<double>::quiet_NaN() : trace.amount,
                      std::memory_order_release);
  if (is_new) items_.add(slot);
  const bool was_own = std::isnan(former);
  if (is_own && !was_own) own_count_.fetch_add(1, std::memory_order_release);
  if (was_own && !is_own) own_count_.fetch_sub(1, std::memory_order_release);
  if (is_own || was_own) peak_.note(slot);
  note_level(slot, was_own ? kNone : former, is_own ? kNone : trace.amount);
  note_evenness();
}

/// Where kNone is that of no level.
void Strengths::note_level(Slot slot, double former, double now) {
  if (former == now) return;
  const std::size_t block = slot / kBlock;
  if (block >= greatest_of_.size()) greatest_of_.resize(block + 1);
  Greatest one = greatest_of_[block];
  if (former != kNone && former == one.level) --one.holders;
  if (now > one.level) {
    one = {now, 1};
  } else if (now == one.level) {
    ++one.holders;
  } else if (one.holders == 0) {
    one = greatest_in(block);
  }
  change_greatest(block, one);
}

void Strengths::change_greatest(std::size_t block, const Greatest& now) {
  double greatest = greatest_.load(std::memory_order_relaxed);
  if (greatest_of_[block].level == greatest) holders_ -= greatest_of_[block].holders;
  greatest_of_[block] = now;
  if (now.level > greatest) {
    greatest = now.level;
    holders_ = now.holders;
  } else if (now.level == greatest) {
    holders_ += now.holders;
  } else if (holders_ == 0) {  // these were the last
    greatest = kNone;
    for (const Greatest& one : greatest_of_) greatest = std::max(greatest, one.level);
    for (const Greatest& one : greatest_of_) holders_ += one.level == greatest ? one.holders : 0;
  }
  greatest_.store(greatest, std::memory_order_relaxed);
}

void Strengths::note_evenness() noexcept {
  const bool are_even =
      own_count_.load(std::memory_order_relaxed) == 0 && holders_ == items_.size();
  are_even_.store(are_even, std::memory_order_release);
}

void Strengths::remove(Slot slot) {
  if (!items_.erase(slot)) return;
  const double former = level(slot);
  if (std::isnan(former)) {
    own_count_.fetch_sub(1, std::memory_order_release);
    peak_.note(slot);
  } else {
    note_level(slot, former, kNone);
  }
  note_evenness();
}

Trace Strengths::trace(Slot slot) const noexcept {
  const double level = this->level(slot);
  return std::isnan(level) ? traces_.load(slot) : Trace{.amount = level};
}

double Strengths::log_strength(Slot slot, std::int64_t ms) const noexcept {
  return engram::log_strength(decay_, trace(slot), ms);
}

double Strengths::greatest(std::int64_t ms) const {
  return greatest_level(ms) - shift(ms);
}

double Strengths::greatest_level(std::int64_t ms) const {
  const double greatest = greatest_.load(std::memory_order_relaxed);
  if (own_count_.load(std::memory_order_acquire) == 0) return greatest;
  return std::max(greatest, peak_.greatest(ms) + shift(ms));
}

/// For when the strongest of a block have become weaker: some microseconds, for 1,024 slots.
Strengths::Greatest Strengths::greatest_in(std::size_t block) const {
  Greatest one;
  const auto begin = static_cast<Slot>(block * kBlock);
  items_.for_each(begin, begin + Slot{kBlock}, [&](Slot slot) {
    const double level = this->level(slot);  // a NaN is neither more nor equal
    if (level > one.level) one = {level, 0};
    one.holders += level == one.level ? 1 : 0;
  });
  return one;
}

void Strengths::note(std::string_view key, Slot slot, const StrengthEffect& effect) {
  constexpr std::size_t kMost = 4096;  // from then on they are not told apart by their times
  std::vector<Noted>& noted = noted_[std::string(key)];
  if (noted.size() < kMost || effect.gain == 0 || noted.back().effect.gain == 0 ||
      noted.back().slot != slot) {
    return noted.push_back({slot, effect});
  }
  noted.back().effect.gain += effect.gain;
  noted.back().effect.ms = effect.ms;
}

std::vector<StrengthEffect> Strengths::take_noted(std::string_view key, Slot slot) {
  const auto found = noted_.find(key);
  if (found == noted_.end()) return {};
  std::vector<Noted>& noted = found.value();
  const auto is_other = [slot](const Noted& one) { return one.slot != slot; };
  const auto end = std::find_if(noted.begin(), noted.end(), is_other);
  std::vector<StrengthEffect> effects;
  for (auto one = noted.begin(); one != end; ++one) effects.push_back(one->effect);
  noted.erase(noted.begin(), end);
  if (noted.empty()) noted_.erase(found);
  return effects;
}

std::size_t Strengths::memory_bytes() const noexcept {
  return sizeof(*this) + levels_.ready_bytes() + items_.memory_bytes() +
         greatest_of_.capacity() * sizeof(Greatest) + traces_.memory_bytes() + peak_.memory_bytes();
}

void StrengthBias::handicaps(std::span<const Slot> slots, std::span<double> nats) const noexcept {
  if (!meets_traces_) return take_levels(slots, nats);
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t begin = 0; begin < slots.size(); begin += kAtOnce) {
    const auto some = slots.subspan(begin, std::min(kAtOnce, slots.size() - begin));
    for (const Slot slot : some) strengths_.traces_.prefetch(slot);
    take_levels(some, nats.subspan(begin, some.size()));
  }
}

void StrengthBias::take_levels(std::span<const Slot> slots, std::span<double> nats) const noexcept {
  const double omega = strengths_.decay().omega;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    double below = greatest_ - strengths_.level(slots[i]);
    if (!(below >= 0)) below = handicap_of_own(slots[i]);
    nats[i] = omega * below;
  }
}

/// Also where a touch has made an item the strongest since, which then is 0.
double StrengthBias::handicap_of_own(Slot slot) const noexcept {
  const double level = strengths_.log_strength(slot, ms_) + strengths_.shift(ms_);
  return std::max(0.0, greatest_ - level);
}

}  // namespace engram
