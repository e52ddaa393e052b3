// SPDX-License-Identifier: Apache-2.0
// The nodes of a Redis Cluster as one: a command goes to the node that serves its slot, wherever
// that has moved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hosts/router/freshness.h"
#include "server/hosts/router/hedges.h"
#include "server/hosts/router/link_pool.h"
#include "server/hosts/router/node_link.h"
#include "server/hosts/router/slot_map.h"
#include "server/net/poller.h"

namespace engram::router {

/// Who answers reads. kHedge: masters, and replicas where those take long. kReplica: replicas, and
/// masters where those take long, or where none is as fresh as is wanted.
enum class Reads : std::uint8_t { kMaster, kHedge, kReplica };
inline constexpr std::string_view kReadsNames[] = {"master", "hedge", "replica"};

struct ClusterSettings {
  std::vector<Address> seeds;  ///< nodes of the cluster, any of which tells of the others
  int timeout_ms = 5000;       ///< for the reply of a node
  Reads reads = Reads::kMaster;
  int staleness_ms = 1000;  ///< unless masters read: how old an answer may be
  LinkSettings link;
};

struct ClusterCounts {
  std::uint64_t commands = 0;  ///< sent to nodes
  std::uint64_t moved = 0;
  std::uint64_t asked = 0;
  std::uint64_t lost = 0;           ///< answered by no node
  std::uint64_t reads = 0;          ///< that replicas may answer
  std::uint64_t replica_reads = 0;  ///< that went to one
  std::uint64_t hedged = 0;         ///< that went to a second node, because the first took long
  std::uint64_t maps = 0;           ///< how often the slot map has been learned
};

/// How many replicas are to have a write before it is answered.
struct ReplicaWait {
  std::int64_t replicas = 0;
  int timeout_ms = 1000;
};

struct Command {
  std::uint16_t slot = 0;
  std::string bytes;  ///< as encode_command() makes them
  LinkKind kind = {};
  std::optional<ReplicaWait> wait = {};  ///< of a write, with LinkUse::kWaiting
  /// A read: it goes where ClusterSettings::reads says, and again if its node gives it up.
  bool may_be_stale = false;
};

struct Answer {
  bool is_missing = false;    ///< no node has answered
  bool is_uncertain = false;  ///< of a missing one: it may have been done nevertheless
  std::string bytes = {};     ///< the reply as it came, errors included; or why it is missing
  std::int64_t replicas = 0;  ///< with ReplicaWait: how many have it
};

/// Threads: the event loop's only.
class Cluster {
 public:
  using Callback = std::function<void(Answer&&)>;

  /// `poller` lives longer.
  Cluster(ClusterSettings settings, Poller& poller);

  /// Carries the command out at the node that serves its slot, and follows redirects. Until the
  /// cluster has told which that is, for the first time, the command waits. The callback comes
  /// once, and not before send() returns.
  void send(Command command, Callback callback);
  /// The same at any node that is up, or else the first seed.
  void send_to_any(const std::string& bytes, LinkKind kind, Callback callback);
  /// The same at a given node.
  void send_to(const Address& node, const std::string& bytes, LinkKind kind, Callback callback);

  /// The poller has told of a link.
  void handle(const PollEvent& event) { links_.handle(event); }
  /// Sends what has gathered.
  void flush() { links_.flush(); }
  /// To be called every second at least: gives up what has waited too long, learns the map anew.
  void tick(std::int64_t now_ms);
  /// When tick() has something to do, at the latest.
  [[nodiscard]] std::int64_t next_tick_ms() const noexcept;

  [[nodiscard]] int timeout_ms() const noexcept { return settings_.timeout_ms; }
  [[nodiscard]] int staleness_ms() const noexcept { return settings_.staleness_ms; }
  /// Whether reads that may be stale can be.
  [[nodiscard]] bool reads_may_be_stale() const noexcept {
    return settings_.reads != Reads::kMaster;
  }
  /// How long a node may take before a second one is asked; nothing yet, or never.
  [[nodiscard]] std::optional<std::int64_t> hedge_delay_us() const noexcept {
    return hedges_.delay_us();
  }
  [[nodiscard]] std::size_t fresh_replicas() const { return freshness_.count_fresh(steady_ms()); }
  [[nodiscard]] const SlotMap& map() const noexcept { return map_; }
  [[nodiscard]] bool knows_map() const noexcept { return knows_map_; }
  [[nodiscard]] const ClusterCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::size_t links_up() const noexcept { return links_.count_up(); }

 private:
  struct Errand {
    Command command;
    Callback callback;
    int redirects_left;
    std::int64_t until_ms;
    // Of a read that may be stale, which may be asked of two nodes.
    std::int64_t begun_us = 0;
    std::size_t under_way = 0;
    bool is_at_master = false;
    bool is_done = false;
    std::string why_given_up = {};  // by the first of the two
  };
  using ErrandPtr = std::shared_ptr<Errand>;
  struct Hedged {
    std::int64_t at_ms;
    std::weak_ptr<Errand> errand;
  };

  void dispatch(const ErrandPtr& errand);
  void deliver(const ErrandPtr& errand, const Address& node, bool asking);
  void take(const ErrandPtr& errand, NodeLink& link, const NodeAnswer& answer);
  void begin_read(const ErrandPtr& errand, const Shard& shard);
  void ask_replica(const ErrandPtr& errand, const Address& replica);
  void take_from_replica(const ErrandPtr& errand, const Address& replica, const NodeAnswer& answer);
  void hedge(std::int64_t now_ms);
  void finish(const ErrandPtr& errand, Answer&& answer);
  bool follow(const ErrandPtr& errand, const NodeLink& link, std::string_view error);
  void redirect(const ErrandPtr& errand, const NodeLink& link, std::string_view error);
  void begin_again(const ErrandPtr& errand, const NodeLink& link, std::string_view error);
  void wait_for_replicas(const ErrandPtr& errand, NodeLink& link, const std::string& bytes);
  void give_up(const ErrandPtr& errand, std::string why, bool is_uncertain);
  void learn_map(std::int64_t now_ms);
  void take_map(const Address& from, const Reply& slots, const NodeAnswer& nodes);
  [[nodiscard]] std::vector<Address> known_nodes() const;

  const ClusterSettings settings_;
  SlotMap map_;
  bool knows_map_ = false;
  bool is_learning_ = false;
  std::int64_t last_tick_ms_ = steady_ms();
  std::int64_t next_map_ms_ = 0;
  std::int64_t last_map_ms_ = 0;
  std::size_t next_teacher_ = 0;
  LinkPool links_;
  Freshness freshness_;
  Hedges hedges_;
  std::deque<Hedged> hedging_;     // reads under way, by when they are to be hedged
  std::vector<ErrandPtr> parked_;  // until the map is known, or nobody serves their slot
  ClusterCounts counts_;
};

}  // namespace engram::router
