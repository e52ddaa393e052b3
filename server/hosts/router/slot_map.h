// SPDX-License-Identifier: Apache-2.0
// Which node serves which slot, as the nodes of a cluster tell it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/slots.h"
#include "server/resp/reply.h"

namespace engram::router {

/// "host:port", as redirects spell it.
using Address = std::string;

/// Host and port of an address: the port is what follows the last colon. Errors: kInvalidArgument.
struct Endpoint {
  std::string host;
  int port = 0;
};
Result<Endpoint> parse_address(std::string_view address);

/// The master of a range of slots and its replicas.
struct Shard {
  Address master;
  std::vector<Address> replicas;
};

/// Nodes disagree while the network between them is cut, and until all have heard that one has
/// taken over from another. Then the owner of the greatest config epoch counts, as it does among
/// nodes.
class SlotMap {
 public:
  /// What the node at `from` knows. Its reply to CLUSTER NODES has owners and their epochs; that to
  /// CLUSTER SLOTS has the addresses that clients are to take, without host where the node does not
  /// know its own. Errors: kDataLoss for anything else.
  static Result<SlotMap> parse(const Reply& nodes, const Reply& slots, std::string_view from);

  /// Null if nobody serves that slot.
  [[nodiscard]] const Shard* find(std::uint16_t slot) const noexcept;
  /// Takes over what another node tells, but for owners of a smaller epoch than was known of their
  /// slot. What an owner says of its own slots counts in any case: it may have given them away
  /// before the epoch of the new owner is greater.
  void learn(const SlotMap& told);
  /// `from` has said that `to` serves the slot. Counts if `from` is its owner as far as is known;
  /// others may not have heard of it yet.
  void redirect(std::uint16_t slot, const Address& from, const Address& to);

  [[nodiscard]] const std::vector<Shard>& shards() const noexcept { return shards_; }
  /// How many slots somebody serves.
  [[nodiscard]] std::size_t covered() const noexcept;

 private:
  static constexpr std::uint16_t kNobody = 0xffff;

  [[nodiscard]] bool is_overruled_by(const SlotMap& told, std::uint16_t slot) const noexcept;
  std::uint16_t place(const Shard& shard);

  std::vector<Shard> shards_;  // each of another master
  std::vector<std::uint16_t> shard_of_ = std::vector<std::uint16_t>(kSlots, kNobody);
  std::vector<std::uint64_t> epochs_ = std::vector<std::uint64_t>(kSlots);  // the greatest known
  Address teller_;  // of what a node has told: its own
};

}  // namespace engram::router
