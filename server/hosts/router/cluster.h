// SPDX-License-Identifier: Apache-2.0
// The nodes of a Redis Cluster as one: a command goes to the node that serves its slot, wherever
// that has moved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/hosts/router/link_pool.h"
#include "server/hosts/router/node_link.h"
#include "server/hosts/router/slot_map.h"
#include "server/net/poller.h"

namespace engram::router {

struct ClusterSettings {
  std::vector<Address> seeds;  ///< nodes of the cluster, any of which tells of the others
  int timeout_ms = 5000;       ///< for the reply of a node
  LinkSettings link;
};

struct ClusterCounts {
  std::uint64_t commands = 0;  ///< sent to nodes
  std::uint64_t moved = 0;
  std::uint64_t asked = 0;
  std::uint64_t lost = 0;  ///< answered by no node
  std::uint64_t maps = 0;  ///< how often the slot map has been learned
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
  /// To be called often: gives up what has waited too long, learns the map anew.
  void tick(std::int64_t now_ms);
  /// When tick() has something to do, at the latest.
  [[nodiscard]] std::int64_t next_tick_ms() const noexcept;

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
  };
  using ErrandPtr = std::shared_ptr<Errand>;

  void dispatch(const ErrandPtr& errand);
  void deliver(const ErrandPtr& errand, const Address& node, bool asking);
  void take(const ErrandPtr& errand, NodeLink& link, const NodeAnswer& answer);
  bool follow(const ErrandPtr& errand, const NodeLink& link, std::string_view error);
  void wait_for_replicas(const ErrandPtr& errand, NodeLink& link, const std::string& bytes);
  void give_up(const ErrandPtr& errand, std::string why, bool is_uncertain);
  void learn_map(std::int64_t now_ms);
  void take_map(const Address& from, const Answer& answer);
  [[nodiscard]] std::vector<Address> known_nodes() const;

  const ClusterSettings settings_;
  SlotMap map_;
  bool knows_map_ = false;
  bool is_learning_ = false;
  std::int64_t next_map_ms_ = 0;
  std::int64_t last_map_ms_ = 0;
  std::size_t next_teacher_ = 0;
  LinkPool links_;
  std::vector<ErrandPtr> parked_;  // until the map is known, or nobody serves their slot
  ClusterCounts counts_;
};

}  // namespace engram::router
