// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/effects.h"

#include <algorithm>
#include <variant>

namespace engram::host {

/// Keys come, go and expire as the server says: only what concerns a collection counts.
void Effects::record(const Change& change) {
  if (!is_recording_) return;
  std::visit(
      [this](const auto& it) {
        if constexpr (requires { it.id; }) add(it);
      },
      change);
}

template <class ChangeOfCollection>
void Effects::add(ChangeOfCollection change) {
  auto found = std::find_if(effects_.begin(), effects_.end(),
                            [&](const Effect& effect) { return effect.id == change.id; });
  if (found == effects_.end()) found = effects_.insert(found, {change.id, {}});
  auto& frames = found->frames;
  if (frames.empty() || frames.back().size() >= kFrameBytes) frames.emplace_back();
  change.id = kIdInFrame;
  encode(change, frames.back());
}

}  // namespace engram::host
