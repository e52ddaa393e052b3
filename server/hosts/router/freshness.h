// SPDX-License-Identifier: Apache-2.0
// How old what replicas have can be. A master says how far its stream of writes has come; a replica
// that has come as far since has all that was written until the master was asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "server/hosts/router/link_pool.h"
#include "server/hosts/router/slot_map.h"

namespace engram::router {

/// Threads: the event loop's only.
class Freshness {
 public:
  /// `links` live longer. `staleness_ms`: how old an answer may be.
  Freshness(LinkPool& links, int staleness_ms, int timeout_ms);

  /// Asks masters and their replicas, a few times in `staleness_ms`, and in a second at least once.
  void tick(std::int64_t now_ms, const std::vector<Shard>& shards);
  [[nodiscard]] std::int64_t next_tick_ms() const noexcept { return next_ms_; }

  /// A replica of the shard that has all that was written `staleness_ms` ago, one after the other;
  /// nothing if none is known to.
  std::optional<Address> fresh_replica(const Shard& shard, std::int64_t now_ms);
  /// How many there are of all shards.
  [[nodiscard]] std::size_t count_fresh(std::int64_t now_ms) const;

 private:
  /// What a master's stream had reached at that time, or later.
  struct Mark {
    std::int64_t at_ms;
    std::int64_t offset;
  };
  struct Stream {
    std::deque<Mark> marks = {};
    bool is_asked = false;
  };

  void ask_master(const Shard& shard, std::int64_t now_ms);
  void ask_replica(const Address& master, const Address& replica);
  [[nodiscard]] bool leads_another(const Address& node, const Address& master) const;
  void forget_others(const std::vector<Shard>& shards);

  LinkPool& links_;
  const int staleness_ms_;
  const int timeout_ms_;
  std::int64_t next_ms_ = 0;
  std::map<Address, Stream> streams_;  // of masters
  // Of a master and its replica: what was written until then.
  std::map<std::pair<Address, Address>, std::int64_t> has_all_of_;
  std::vector<Address> masters_;  // sorted
  std::size_t turn_ = 0;
};

}  // namespace engram::router
