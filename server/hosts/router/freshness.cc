// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/freshness.h"

#include <algorithm>
#include <string>

#include "server/resp/command.h"
#include "server/resp/reply.h"

namespace engram::router {
namespace {

constexpr std::int64_t kAsksInStaleness = 5;
constexpr std::int64_t kLeastPauseMs = 20;
constexpr std::int64_t kMostPauseMs = 1000;
constexpr std::size_t kMostMarks = 32;

std::string role_command() {
  return encode_command({"ROLE"});
}

/// What a node says of itself.
struct Role {
  std::int64_t offset;
  Address master;  ///< of a replica
};

/// Of the reply to ROLE; nothing if the node is not `role`, or is not up to date with its master.
std::optional<Role> role_of(const NodeAnswer& answer, std::string_view role) {
  if (answer.is_lost) return std::nullopt;
  const Reply reply = read_reply(answer.bytes);
  if (!reply.is_array() || reply.items.size() < 3 || reply.items[0].text != role) {
    return std::nullopt;
  }
  const std::vector<Reply>& items = reply.items;
  if (role == "master") return Role{items[1].integer, {}};
  if (items.size() < 5 || items[3].text != "connected") return std::nullopt;
  return Role{items[4].integer, items[1].text + ":" + std::to_string(items[2].integer)};
}

}  // namespace

Freshness::Freshness(LinkPool& links, int staleness_ms, int timeout_ms)
    : links_(links), staleness_ms_(staleness_ms), timeout_ms_(timeout_ms) {}

void Freshness::tick(std::int64_t now_ms, const std::vector<Shard>& shards) {
  if (now_ms < next_ms_) return;
  if (shards.empty()) {  // not known yet
    next_ms_ = now_ms + kLeastPauseMs;
    return;
  }
  next_ms_ = now_ms + std::clamp(staleness_ms_ / kAsksInStaleness, kLeastPauseMs, kMostPauseMs);
  masters_.clear();
  for (const Shard& shard : shards) masters_.push_back(shard.master);
  std::sort(masters_.begin(), masters_.end());
  forget_others(shards);
  for (const Shard& shard : shards) {
    if (!shard.replicas.empty()) ask_master(shard, now_ms);
  }
}

void Freshness::ask_master(const Shard& shard, std::int64_t now_ms) {
  Stream& stream = streams_[shard.master];
  if (stream.is_asked) return;
  stream.is_asked = true;
  links_.pick(shard.master, {}).send(role_command(), timeout_ms_, [=, this](const auto& answer) {
    Stream& asked = streams_[shard.master];
    asked.is_asked = false;
    const auto role = role_of(answer, "master");
    if (!role) return;
    asked.marks.push_back({now_ms, role->offset});
    if (asked.marks.size() > kMostMarks) asked.marks.pop_front();
    for (const Address& replica : shard.replicas) ask_replica(shard.master, replica);
  });
}

void Freshness::ask_replica(const Address& master, const Address& replica) {
  const LinkKind kind = {.use = LinkUse::kReplica};
  links_.pick(replica, kind).send(role_command(), timeout_ms_, [=, this](const auto& answer) {
    const auto role = role_of(answer, "slave");
    if (!role || leads_another(role->master, master)) return;
    const std::deque<Mark>& marks = streams_[master].marks;
    const auto reached = std::find_if(marks.rbegin(), marks.rend(), [&](const Mark& mark) {
      return mark.offset <= role->offset;
    });
    if (reached == marks.rend()) return;
    std::int64_t& has_all_of = has_all_of_[{master, replica}];
    has_all_of = std::max(has_all_of, reached->at_ms);
  });
}

/// Whether `node`, by the name that a replica has for its master, leads another shard than that of
/// `master`. Replicas may have other names for masters than clients have, which say nothing.
bool Freshness::leads_another(const Address& node, const Address& master) const {
  return node != master && std::binary_search(masters_.begin(), masters_.end(), node);
}

/// A node that has become something else, or has another master, starts anew.
void Freshness::forget_others(const std::vector<Shard>& shards) {
  std::erase_if(streams_, [&](const auto& entry) {
    return !entry.second.is_asked &&
           std::none_of(shards.begin(), shards.end(),
                        [&](const Shard& shard) { return shard.master == entry.first; });
  });
  std::erase_if(has_all_of_, [&](const auto& entry) {
    const auto& [master, replica] = entry.first;
    return std::none_of(
        shards.begin(), shards.end(), [&, &of = master, &by = replica](const Shard& shard) {
          return shard.master == of && std::find(shard.replicas.begin(), shard.replicas.end(),
                                                 by) != shard.replicas.end();
        });
  });
}

std::size_t Freshness::count_fresh(std::int64_t now_ms) const {
  return static_cast<std::size_t>(
      std::count_if(has_all_of_.begin(), has_all_of_.end(),
                    [&](const auto& entry) { return now_ms - entry.second <= staleness_ms_; }));
}

std::optional<Address> Freshness::fresh_replica(const Shard& shard, std::int64_t now_ms) {
  for (std::size_t i = 0; i < shard.replicas.size(); ++i) {
    const Address& replica = shard.replicas[++turn_ % shard.replicas.size()];
    const auto known = has_all_of_.find({shard.master, replica});
    if (known != has_all_of_.end() && now_ms - known->second <= staleness_ms_) return replica;
  }
  return std::nullopt;
}

}  // namespace engram::router
