// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/slot_map.h"

#include <algorithm>

#include "core/text.h"

namespace engram::router {
namespace {

tl::unexpected<Error> no_map() {
  return fail(ErrorCode::kDataLoss, "what answered CLUSTER SLOTS is no node of a Redis Cluster");
}

/// Of an array of host, port, ...; empty if it is none.
Address node_address(const Reply& node, std::string_view from) {
  using Kind = Reply::Kind;
  if (node.kind != Kind::kArray || node.items.size() < 2) return {};
  if (node.items[1].kind != Kind::kInteger) return {};
  std::string_view host = node.items[0].text;
  // Not told, or unknown to the node: the client is to take that by which it has come.
  if (host.empty() || host == "?") host = from.substr(0, from.rfind(':'));
  return std::string(host) + ":" + std::to_string(node.items[1].integer);
}

}  // namespace

Result<Endpoint> parse_address(std::string_view address) {
  constexpr int kMostPort = 65535;
  const std::size_t colon = address.rfind(':');
  const auto port =
      colon == std::string_view::npos ? std::nullopt : parse_number<int>(address.substr(colon + 1));
  if (!port || *port < 1 || *port > kMostPort || colon == 0) {
    return fail(ErrorCode::kInvalidArgument,
                "'" + std::string(address) + "' is no address, expected host:port");
  }
  std::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return Endpoint{.host = std::string(host), .port = *port};
}

Result<SlotMap> SlotMap::parse(const Reply& reply, std::string_view from) {
  using Kind = Reply::Kind;
  if (reply.kind != Kind::kArray) return no_map();
  SlotMap map;
  map.shard_of_.assign(kSlots, kNobody);
  for (const Reply& range : reply.items) {
    if (range.kind != Kind::kArray || range.items.size() < 3) return no_map();
    const Reply& first = range.items[0];
    const Reply& last = range.items[1];
    const bool is_range = first.kind == Kind::kInteger && last.kind == Kind::kInteger &&
                          first.integer >= 0 && first.integer <= last.integer &&
                          last.integer < std::int64_t{kSlots};
    if (!is_range) return no_map();
    Shard shard = {.master = node_address(range.items[2], from), .replicas = {}};
    for (std::size_t i = 3; i < range.items.size(); ++i) {
      shard.replicas.push_back(node_address(range.items[i], from));
    }
    if (shard.master.empty()) return no_map();
    std::erase(shard.replicas, Address());
    auto known = std::find(map.shards_.begin(), map.shards_.end(), shard);
    if (known == map.shards_.end()) {
      map.shards_.push_back(std::move(shard));
      known = map.shards_.end() - 1;
    }
    std::fill(map.shard_of_.begin() + first.integer, map.shard_of_.begin() + last.integer + 1,
              static_cast<std::uint16_t>(known - map.shards_.begin()));
  }
  return map;
}

const Shard* SlotMap::find(std::uint16_t slot) const noexcept {
  if (slot >= shard_of_.size() || shard_of_[slot] == kNobody) return nullptr;
  return &shards_[shard_of_[slot]];
}

void SlotMap::set_master(std::uint16_t slot, const Address& master) {
  const auto has_it = [&](const Shard& shard) { return shard.master == master; };
  auto known = std::find_if(shards_.begin(), shards_.end(), has_it);
  if (known == shards_.end()) {
    shards_.push_back({.master = master, .replicas = {}});
    known = shards_.end() - 1;
  }
  if (shard_of_.empty()) shard_of_.assign(kSlots, kNobody);
  shard_of_[slot] = static_cast<std::uint16_t>(known - shards_.begin());
}

std::size_t SlotMap::covered() const noexcept {
  return static_cast<std::size_t>(std::count_if(shard_of_.begin(), shard_of_.end(),
                                                [](auto shard) { return shard != kNobody; }));
}

}  // namespace engram::router
