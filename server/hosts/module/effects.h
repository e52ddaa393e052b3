// SPDX-License-Identifier: Apache-2.0
// What a command has changed, as the journal would record it: what replicas and the AOF get in its
// place. Times and seeds are resolved in it, and every vector has its slot, so whoever repeats it
// answers the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/change.h"
#include "server/engine/change_sink.h"
#include "server/engine/grace_period.h"

namespace engram::host {

/// The id of every collection in a frame: who repeats it knows by the key which one is meant.
inline constexpr std::uint64_t kIdInFrame = 0;

/// The changes of one collection, in frames of kFrameBytes or a little more.
struct Effect {
  std::uint64_t id;  ///< of the collection, in this process
  std::vector<std::string> frames;
};

/// Collects what is recorded between begin_command() and end_command(); what collections record
/// by themselves at other times (what they have learned of their own effort) is theirs alone.
/// Threads: the event loop's only.
class Effects final : public ChangeSink {
 public:
  static constexpr std::size_t kFrameBytes = std::size_t{8} << 20;

  void begin_command() noexcept {
    effects_.clear();
    is_recording_ = true;
  }
  std::vector<Effect> end_command() {
    is_recording_ = false;
    return std::exchange(effects_, {});
  }

  void record(const Change& change) override;
  [[nodiscard]] GracePeriod::Ticket begin() override { return under_way_.enter(); }
  void end(GracePeriod::Ticket ticket) override { under_way_.leave(ticket); }

 private:
  template <class ChangeOfCollection>
  void add(ChangeOfCollection change);

  bool is_recording_ = false;
  std::vector<Effect> effects_;
  GracePeriod under_way_;
};

}  // namespace engram::host
