// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/cluster.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "server/resp/command.h"
#include "server/runtime/log.h"

namespace engram::router {
namespace {

constexpr int kMostRedirects = 8;
constexpr std::int64_t kMapEveryMs = 1000;
constexpr std::int64_t kMapAtMostEveryMs = 100;
constexpr int kMapTimeoutMs = 1000;
constexpr std::int64_t kLongestBetweenTicksMs = 2500;
constexpr std::string_view kNobody = "no node serves its slot";

/// The second and third word of "-MOVED 3999 host:port".
std::string_view redirect_target(std::string_view error) {
  const std::size_t last = error.rfind(' ');
  return last == std::string_view::npos ? std::string_view() : error.substr(last + 1);
}

}  // namespace

Cluster::Cluster(ClusterSettings settings, Poller& poller)
    : settings_(std::move(settings)),
      links_(settings_.link, poller),
      freshness_(links_, settings_.staleness_ms, settings_.timeout_ms) {}

void Cluster::send(Command command, Callback callback) {
  auto errand = std::make_shared<Errand>();
  errand->command = std::move(command);
  errand->callback = std::move(callback);
  errand->redirects_left = kMostRedirects;
  errand->until_ms = steady_ms() + settings_.timeout_ms;
  dispatch(errand);
}

void Cluster::dispatch(const ErrandPtr& errand) {
  const Shard* const shard = knows_map_ ? map_.find(errand->command.slot) : nullptr;
  if (shard != nullptr) {
    const bool may_be_stale = errand->command.may_be_stale && reads_may_be_stale();
    return may_be_stale ? begin_read(errand, *shard) : deliver(errand, shard->master, false);
  }
  if (knows_map_) {
    errand->until_ms = 0;  // is given up by the next tick
    next_map_ms_ = 0;
  }
  parked_.push_back(errand);
}

void Cluster::deliver(const ErrandPtr& errand, const Address& node, bool asking) {
  NodeLink& to = links_.pick(node, errand->command.kind);
  if (asking) {
    static const std::string kAsking = encode_command({"ASKING"});
    to.send(kAsking, settings_.timeout_ms, [](const NodeAnswer&) {});
  }
  ++counts_.commands;
  ++errand->under_way;
  errand->is_at_master = true;
  to.send(errand->command.bytes, settings_.timeout_ms,
          [this, errand, &to](const NodeAnswer& answer) { take(errand, to, answer); });
}

void Cluster::take(const ErrandPtr& errand, NodeLink& link, const NodeAnswer& answer) {
  --errand->under_way;
  if (errand->is_done) return;
  if (answer.is_lost) {
    next_map_ms_ = 0;
    return give_up(errand, link.address() + ": " + std::string(answer.bytes), answer.was_sent);
  }
  if (answer.bytes.starts_with('-')) {
    const std::string_view error = answer.bytes.substr(1, answer.bytes.size() - 3);
    if (follow(errand, link, error)) return;
  } else if (errand->command.wait) {
    return wait_for_replicas(errand, link, std::string(answer.bytes));
  }
  finish(errand, {.bytes = std::string(answer.bytes)});
}

/// Whether the error is about where the slot is, or about the node, and not an answer.
bool Cluster::follow(const ErrandPtr& errand, const NodeLink& link, std::string_view error) {
  if (error.starts_with("MOVED ") || error.starts_with("ASK ")) {
    redirect(errand, link, error);
    return true;
  }
  if (error.starts_with("UNBLOCKED ")) {
    begin_again(errand, link, error);
    return true;
  }
  for (const std::string_view prefix : {"TRYAGAIN ", "CLUSTERDOWN ", "LOADING ", "MASTERDOWN "}) {
    if (!error.starts_with(prefix)) continue;
    next_map_ms_ = 0;
    give_up(errand, link.address() + ": " + std::string(error), false);
    return true;
  }
  return false;
}

void Cluster::redirect(const ErrandPtr& errand, const NodeLink& link, std::string_view error) {
  const bool is_moved = error.starts_with("MOVED ");
  Address target(redirect_target(error));
  const std::size_t host = target.rfind(':');
  if (host == 0 || target.starts_with("?:")) {  // the node does not know its own host
    target.replace(0, host, link.address(), 0, link.address().rfind(':'));
  }
  if (--errand->redirects_left < 0) {
    return give_up(errand, link.address() + ": its slot is sent from node to node", false);
  }
  ++(is_moved ? counts_.moved : counts_.asked);
  if (is_moved) {
    map_.redirect(errand->command.slot, link.address(), target);
    next_map_ms_ = 0;
  }
  deliver(errand, target, !is_moved);
}

/// The node has become a replica while it worked on the command. It redirects a read to its master,
/// if the map does not know that one yet. A write may have been done already.
void Cluster::begin_again(const ErrandPtr& errand, const NodeLink& link, std::string_view error) {
  next_map_ms_ = 0;
  const Shard* const shard = map_.find(errand->command.slot);
  const bool is_write = !errand->command.may_be_stale;
  if (is_write || shard == nullptr || --errand->redirects_left < 0) {
    return give_up(errand, link.address() + ": " + std::string(error), is_write);
  }
  deliver(errand, shard->master, false);
}

/// Of the connection that wrote: WAIT asks for what came by itself.
void Cluster::wait_for_replicas(const ErrandPtr& errand, NodeLink& link, const std::string& bytes) {
  const ReplicaWait wait = *errand->command.wait;
  const std::string command =
      encode_command({"WAIT", std::to_string(wait.replicas), std::to_string(wait.timeout_ms)});
  link.send(command, settings_.timeout_ms + wait.timeout_ms,
            [errand, &link, bytes, generation = link.generation()](const NodeAnswer& answer) {
              Answer written = {.bytes = bytes};
              // A connection made anew has written nothing, so WAIT says yes to it.
              if (!answer.is_lost && link.generation() == generation) {
                written.replicas = read_reply(answer.bytes).integer;
              }
              errand->callback(std::move(written));
            });
}

/// Unless another node has been asked as well.
void Cluster::give_up(const ErrandPtr& errand, std::string why, bool is_uncertain) {
  if (errand->under_way > 0) {
    errand->why_given_up = std::move(why);
    return;
  }
  ++counts_.lost;
  finish(errand, {.is_missing = true, .is_uncertain = is_uncertain, .bytes = std::move(why)});
}

void Cluster::finish(const ErrandPtr& errand, Answer&& answer) {
  errand->is_done = true;
  if (errand->begun_us != 0 && !answer.is_missing) hedges_.end(steady_us() - errand->begun_us);
  errand->callback(std::move(answer));
}

void Cluster::send_to(const Address& node, const std::string& bytes, LinkKind kind,
                      Callback callback) {
  ++counts_.commands;
  links_.pick(node, kind)
      .send(bytes, settings_.timeout_ms,
            [node, callback = std::move(callback)](const NodeAnswer& answer) {
              if (!answer.is_lost) return callback({.bytes = std::string(answer.bytes)});
              callback({.is_missing = true,
                        .is_uncertain = answer.was_sent,
                        .bytes = node + ": " + std::string(answer.bytes)});
            });
}

void Cluster::send_to_any(const std::string& bytes, LinkKind kind, Callback callback) {
  const Address node = links_.node_up().value_or(settings_.seeds.front());
  send_to(node, bytes, kind, std::move(callback));
}

void Cluster::tick(std::int64_t now_ms) {
  // A process that was stopped does not blame its nodes.
  const std::int64_t passed_ms = now_ms - std::exchange(last_tick_ms_, now_ms);
  if (passed_ms > kLongestBetweenTicksMs) links_.postpone(passed_ms);
  links_.tick(now_ms);
  if (reads_may_be_stale()) {
    freshness_.tick(now_ms, map_.shards());
    hedge(now_ms);
  }
  std::vector<ErrandPtr> parked;
  parked.swap(parked_);
  for (const ErrandPtr& errand : parked) {
    if (knows_map_ && errand->until_ms != 0) {
      dispatch(errand);
    } else if (errand->until_ms <= now_ms) {
      give_up(errand, std::string(knows_map_ ? kNobody : "no node of the cluster has answered"),
              false);
    } else {
      parked_.push_back(errand);
    }
  }
  if (is_learning_ && now_ms >= last_map_ms_ + kMapTimeoutMs) {
    is_learning_ = false;  // that node is busy; what it answers is taken all the same
    next_map_ms_ = now_ms;
  }
  if (!is_learning_ && now_ms >= std::max(next_map_ms_, last_map_ms_ + kMapAtMostEveryMs)) {
    learn_map(now_ms);
  }
}

std::int64_t Cluster::next_tick_ms() const noexcept {
  std::int64_t next_ms = std::max(next_map_ms_, last_map_ms_ + kMapAtMostEveryMs);
  if (is_learning_) next_ms = last_map_ms_ + kMapTimeoutMs;
  if (const std::int64_t link_ms = links_.next_tick_ms(); link_ms >= 0) {
    next_ms = std::min(next_ms, link_ms);
  }
  if (reads_may_be_stale()) next_ms = std::min(next_ms, freshness_.next_tick_ms());
  if (!hedging_.empty()) next_ms = std::min(next_ms, hedging_.front().at_ms);
  for (const ErrandPtr& errand : parked_) next_ms = std::min(next_ms, errand->until_ms);
  return next_ms;
}

std::vector<Address> Cluster::known_nodes() const {
  std::vector<Address> nodes;
  for (const Shard& shard : map_.shards()) {
    nodes.push_back(shard.master);
    nodes.insert(nodes.end(), shard.replicas.begin(), shard.replicas.end());
  }
  nodes.insert(nodes.end(), settings_.seeds.begin(), settings_.seeds.end());
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

/// From one node after the other: each may be down, or cut off from the others.
void Cluster::learn_map(std::int64_t now_ms) {
  static const std::string kSlotsCommand = encode_command({"CLUSTER", "SLOTS"});
  static const std::string kNodesCommand = encode_command({"CLUSTER", "NODES"});
  const std::vector<Address> nodes = known_nodes();
  const Address& node = nodes[next_teacher_++ % nodes.size()];
  is_learning_ = true;
  last_map_ms_ = now_ms;
  next_map_ms_ = now_ms + kMapEveryMs;
  NodeLink& link = links_.pick(node, {});
  const auto slots = std::make_shared<Reply>();
  link.send(kSlotsCommand, kMapTimeoutMs, [slots](const NodeAnswer& answer) {
    if (!answer.is_lost) *slots = read_reply(answer.bytes);
  });
  link.send(kNodesCommand, kMapTimeoutMs,
            [this, node, slots](const NodeAnswer& answer) { take_map(node, *slots, answer); });
}

void Cluster::take_map(const Address& from, const Reply& slots, const NodeAnswer& nodes) {
  is_learning_ = false;
  const auto told = nodes.is_lost ? fail(ErrorCode::kIo, std::string(nodes.bytes))
                                  : SlotMap::parse(read_reply(nodes.bytes), slots, from);
  if (!told || told->shards().empty()) {
    next_map_ms_ = 0;
    return;
  }
  map_.learn(*told);
  if (!knows_map_) {
    log_info("the cluster has " + std::to_string(map_.shards().size()) + " shards");
  }
  knows_map_ = true;
  ++counts_.maps;
  links_.keep_only(known_nodes());
}

}  // namespace engram::router
