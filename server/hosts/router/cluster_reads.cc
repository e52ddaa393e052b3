// SPDX-License-Identifier: Apache-2.0
// Reads that replicas may answer.
#include "server/hosts/router/cluster.h"
#include "server/resp/reply.h"

namespace engram::router {
namespace {

constexpr std::int64_t kHedgePauseMs = 10;

}  // namespace

void Cluster::begin_read(const ErrandPtr& errand, const Shard& shard) {
  ++counts_.reads;
  hedges_.begin();
  const std::int64_t now_us = steady_us();
  const std::int64_t now_ms = now_us / 1000;
  errand->begun_us = now_us;
  const auto replica =
      settings_.reads == Reads::kReplica ? freshness_.fresh_replica(shard, now_ms) : std::nullopt;
  replica ? ask_replica(errand, *replica) : deliver(errand, shard.master, false);
  if (const auto delay_us = hedges_.delay_us()) {
    hedging_.push_back({now_ms + 1 + *delay_us / 1000, errand});
  }
}

void Cluster::ask_replica(const ErrandPtr& errand, const Address& replica) {
  ++counts_.commands;
  ++counts_.replica_reads;
  ++errand->under_way;
  const LinkKind kind = {errand->command.kind.version, LinkUse::kReplica};
  links_.pick(replica, kind)
      .send(errand->command.bytes, settings_.timeout_ms,
            [this, errand, replica](const NodeAnswer& answer) {
              take_from_replica(errand, replica, answer);
            });
}

/// What a replica does not answer, or answers an error to, is for its master to say: it may lag
/// behind what the error is about.
void Cluster::take_from_replica(const ErrandPtr& errand, const Address& replica,
                                const NodeAnswer& answer) {
  --errand->under_way;
  if (errand->is_done) return;
  if (!answer.is_lost && !answer.bytes.starts_with('-')) {
    return finish(errand, {.bytes = std::string(answer.bytes)});
  }
  const Shard* const shard = map_.find(errand->command.slot);
  if (errand->is_at_master || shard == nullptr) {
    // What the master has said, if it was first, is why there is no answer.
    const std::string reply =
        answer.is_lost ? std::string(answer.bytes) : read_reply(answer.bytes).text;
    const std::string& of_master = errand->why_given_up;
    return give_up(errand, of_master.empty() ? replica + ": " + reply : of_master, false);
  }
  deliver(errand, shard->master, false);
}

/// Asks a second node for what the first has not answered in time.
void Cluster::hedge(std::int64_t now_ms) {
  while (!hedging_.empty() && hedging_.front().at_ms <= now_ms) {
    const ErrandPtr errand = hedging_.front().errand.lock();
    const bool is_over = !errand || errand->is_done;
    const Shard* const shard = is_over ? nullptr : map_.find(errand->command.slot);
    const auto replica = shard != nullptr && errand->is_at_master
                             ? freshness_.fresh_replica(*shard, now_ms)
                             : std::nullopt;
    const bool has_second = shard != nullptr && (replica || !errand->is_at_master);
    if (has_second && !hedges_.take(now_ms)) {
      hedging_.front().at_ms = now_ms + kHedgePauseMs;
      return;
    }
    hedging_.pop_front();
    if (!has_second) continue;
    ++counts_.hedged;
    replica ? ask_replica(errand, *replica) : deliver(errand, shard->master, false);
  }
}

}  // namespace engram::router
