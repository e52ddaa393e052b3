// SPDX-License-Identifier: Apache-2.0
// The links of a router to its nodes: a few of each kind to each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "server/hosts/router/node_link.h"
#include "server/hosts/router/slot_map.h"
#include "server/net/poller.h"

namespace engram::router {

/// A node carries out the commands of one connection one after the other, long ones too. So
/// commands, whose order no link has to keep, are spread over several. Threads: the event loop's
/// only.
class LinkPool {
 public:
  /// `settings` and `poller` live longer.
  LinkPool(const LinkSettings& settings, Poller& poller) : settings_(settings), poller_(poller) {}

  /// The link of that kind with the fewest commands under way. There is one more while all have
  /// some, up to as many as its use allows.
  NodeLink& pick(const Address& node, LinkKind kind);

  /// Links' tokens of the poller have this bit.
  static constexpr std::uint64_t kTokenBit = std::uint64_t{1} << 62;
  void handle(const PollEvent& event);
  /// Sends what has gathered: one write for each link.
  void flush();
  /// See NodeLink.
  void tick(std::int64_t now_ms);
  void postpone(std::int64_t ms);
  [[nodiscard]] std::int64_t next_tick_ms() const noexcept;

  [[nodiscard]] std::size_t count_up() const noexcept;
  /// Some node that is connected.
  [[nodiscard]] std::optional<Address> node_up() const;
  /// Links to other nodes than these, which are sorted, are closed by the next tick(). One that
  /// waits for a reply then stays until this is called again.
  void keep_only(std::vector<Address> nodes) { kept_ = std::move(nodes); }

 private:
  void close_others();

  struct Key {
    Address node;
    LinkKind kind;
    std::size_t number;

    friend bool operator<(const Key& a, const Key& b) {
      return std::tie(a.node, a.kind, a.number) < std::tie(b.node, b.kind, b.number);
    }
  };

  const LinkSettings& settings_;
  Poller& poller_;
  // Callbacks may make new links, which leaves iterators of a map valid.
  std::map<Key, std::unique_ptr<NodeLink>> links_;
  std::map<std::uint64_t, NodeLink*> links_by_token_;
  std::uint64_t last_token_ = 0;
  std::optional<std::vector<Address>> kept_;  // until others have been closed
};

}  // namespace engram::router
