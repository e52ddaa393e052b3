// SPDX-License-Identifier: Apache-2.0
#include "server/engine/trace_peak.h"

#include <algorithm>

namespace engram {

void TracePeak::note(Slot slot) noexcept {
  const std::size_t block = slot / kBlock;
  versions_[block].fetch_add(1, std::memory_order_release);
  if (block >= block_count_.load(std::memory_order_relaxed)) {
    block_count_.store(block + 1, std::memory_order_release);
  }
  version_.fetch_add(1, std::memory_order_release);
}

double TracePeak::greatest(std::int64_t ms) const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t version = version_.load(std::memory_order_acquire);
  if (found_version_ == version && found_ms_ == ms) return found_;
  blocks_.resize(std::max(blocks_.size(), block_count_.load(std::memory_order_acquire)));
  double greatest = leader_ < blocks_.size() ? look_at(leader_, ms) : kNone;
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    if (!may_exceed(block, ms, greatest)) continue;
    const double of_block = look_at(block, ms);
    if (of_block <= greatest) continue;
    greatest = of_block;
    leader_ = block;
  }
  found_version_ = version;
  found_ms_ = ms;
  found_ = greatest;
  return greatest;
}

bool TracePeak::may_exceed(std::size_t block, std::int64_t ms, double greatest) const {
  const Block& known = blocks_[block];
  if (known.version != versions_[block].load(std::memory_order_acquire)) return true;
  if (ms < known.ms) return true;
  return known.greatest > greatest &&
         (!known.cover || log_strength(decay_, *known.cover, ms) > greatest);
}

/// Some tens of microseconds, unless it is known.
double TracePeak::look_at(std::size_t block, std::int64_t ms) const {
  Block& known = blocks_[block];
  const std::uint64_t version = versions_[block].load(std::memory_order_acquire);
  if (known.version == version && known.ms == ms) return known.greatest;
  double greatest = kNone;
  std::optional<Trace> cover;
  bool has_cover = true;
  const auto begin = static_cast<Slot>(block * kBlock);
  items_.for_each(begin, begin + Slot{kBlock}, [&](Slot slot) {
    if (!traces_.has_room(slot)) return;
    const Trace trace = traces_.load(slot);
    if (trace.kind == TraceKind::kLevel) return;
    if (!cover) cover = trace;
    has_cover = has_cover && join(decay_, trace, ms, *cover);
    if (log_strength_ceiling(decay_, trace, ms) <= greatest) return;
    greatest = std::max(greatest, log_strength(decay_, trace, ms));
  });
  known = {version, ms, greatest, has_cover ? cover : std::nullopt};
  return greatest;
}

}  // namespace engram
