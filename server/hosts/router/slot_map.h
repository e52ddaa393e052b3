// SPDX-License-Identifier: Apache-2.0
// Which node serves which slot, as a node of the cluster tells it.
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

  friend bool operator==(const Shard&, const Shard&) = default;
};

class SlotMap {
 public:
  /// Of the reply to CLUSTER SLOTS, which `from` gave: a node that does not know its own host
  /// leaves it out. Errors: kDataLoss for anything else.
  static Result<SlotMap> parse(const Reply& reply, std::string_view from);

  /// Null if nobody serves that slot.
  [[nodiscard]] const Shard* find(std::uint16_t slot) const noexcept;
  /// What a redirect said.
  void set_master(std::uint16_t slot, const Address& master);

  [[nodiscard]] const std::vector<Shard>& shards() const noexcept { return shards_; }
  /// How many slots somebody serves.
  [[nodiscard]] std::size_t covered() const noexcept;

 private:
  static constexpr std::uint16_t kNobody = 0xffff;

  std::vector<Shard> shards_;
  std::vector<std::uint16_t> shard_of_;  // of each slot; empty: of none
};

}  // namespace engram::router
