// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/link_pool.h"

#include <algorithm>

namespace engram::router {
namespace {

constexpr std::size_t kMostPlain = 4;
constexpr std::size_t kMostWaiting = 16;  // cost the node nothing while they wait

constexpr std::size_t most_links(LinkUse use) noexcept {
  return use == LinkUse::kWaiting ? kMostWaiting : kMostPlain;
}

}  // namespace

NodeLink& LinkPool::pick(const Address& node, LinkKind kind) {
  // One that would fail at once comes last.
  const auto is_better = [](const NodeLink& a, const NodeLink& b) {
    if (a.is_resting() != b.is_resting()) return b.is_resting();
    return a.in_flight() < b.in_flight();
  };
  NodeLink* best = nullptr;
  std::size_t links = 0;
  bool is_down = false;  // where one does not get through, others would not
  for (auto at = links_.lower_bound({node, kind, 0});
       at != links_.end() && at->first.node == node && at->first.kind == kind; ++at) {
    NodeLink* const link = at->second.get();
    if (best == nullptr || is_better(*link, *best)) best = link;
    is_down = is_down || link->is_down();
    links = at->first.number + 1;
  }
  if (best != nullptr && (best->in_flight() == 0 || is_down || links == most_links(kind.use))) {
    return *best;
  }
  const std::uint64_t token = kTokenBit | ++last_token_;
  auto& made = links_[{node, kind, links}];
  made = std::make_unique<NodeLink>(node, kind, settings_, poller_, token);
  links_by_token_[token] = made.get();
  return *made;
}

void LinkPool::handle(const PollEvent& event) {
  const auto found = links_by_token_.find(event.token);
  if (found != links_by_token_.end()) found->second->handle(event);
}

void LinkPool::flush() {
  for (const auto& [key, link] : links_) link->flush();
}

void LinkPool::tick(std::int64_t now_ms) {
  for (const auto& [key, link] : links_) link->tick(now_ms);
  if (kept_) close_others();
}

void LinkPool::postpone(std::int64_t ms) {
  for (const auto& [key, link] : links_) link->postpone(ms);
}

std::int64_t LinkPool::next_tick_ms() const noexcept {
  std::int64_t next_ms = -1;
  for (const auto& [key, link] : links_) {
    const std::int64_t link_ms = link->next_tick_ms();
    if (link_ms >= 0 && (next_ms < 0 || link_ms < next_ms)) next_ms = link_ms;
  }
  return next_ms;
}

std::size_t LinkPool::count_up() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      links_.begin(), links_.end(), [](const auto& entry) { return entry.second->is_up(); }));
}

std::optional<Address> LinkPool::node_up() const {
  for (const auto& [key, link] : links_) {
    if (link->is_up()) return key.node;
  }
  return std::nullopt;
}

/// Not within a callback, which may be one of a link that goes.
void LinkPool::close_others() {
  std::erase_if(links_, [this](const auto& entry) {
    if (entry.second->in_flight() != 0) return false;
    if (std::binary_search(kept_->begin(), kept_->end(), entry.first.node)) return false;
    links_by_token_.erase(entry.second->token());
    return true;
  });
  kept_.reset();
}

}  // namespace engram::router
