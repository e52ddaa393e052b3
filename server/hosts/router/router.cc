// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/router.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/hosts/router/resp_front.h"
#include "server/net/socket.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram::router {
namespace {

constexpr std::uint64_t kWakeUpToken = 0;
constexpr int kAcceptsPerTurn = 100;
constexpr std::int64_t kLongestWaitMs = 1000;
constexpr std::int64_t kAcceptPauseMs = 1000;
constexpr std::int64_t kDescriptorsOfLinks = 256;

}  // namespace

Result<std::vector<Address>> parse_cluster(std::string_view text) {
  std::vector<Address> seeds;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string_view address = text.substr(0, end);
    if (const auto parsed = parse_address(address); !parsed) {
      return tl::unexpected<Error>(parsed.error());
    }
    seeds.emplace_back(address);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!seeds.empty()) return seeds;
  return fail(ErrorCode::kInvalidArgument,
              "a router needs --cluster host:port,host:port..., some nodes of its cluster");
}

Router::Router(const ServerConfig& config, ClusterSettings settings,
               std::optional<HttpDoorway> http, WakeUp wake_up, std::unique_ptr<Poller> poller)
    : config_(config),
      http_(http),
      wake_up_(std::move(wake_up)),
      poller_(std::move(poller)),
      listeners_(*poller_),
      http_listeners_(*poller_),
      cluster_(std::move(settings), *poller_),
      layouts_(cluster_, timers_),
      services_({.cluster = cluster_,
                 .layouts = layouts_,
                 .counts = counts_,
                 .timers = timers_,
                 .password = config.requirepass,
                 .started_ms = steady_ms(),
                 .client_count = [this] { return fronts_.size(); }}) {}

Result<std::unique_ptr<Router>> Router::make(ServerConfig config, ClusterSettings settings,
                                             std::optional<HttpDoorway> http) {
  if (!config.dir.empty()) {
    return fail(ErrorCode::kInvalidArgument, "a router keeps nothing: --dir is not for it");
  }
  if (config.http_port != 0 && !http) {
    return fail(ErrorCode::kUnsupported, "this build has no HTTP, so http-port must be 0");
  }
  const auto warning = fit_clients(config.maxclients, kDescriptorsOfLinks);
  if (!warning) return tl::unexpected<Error>(warning.error());
  if (!warning->empty()) log_warning(*warning);
  auto wake_up = WakeUp::make();
  if (!wake_up) return tl::unexpected<Error>(std::move(wake_up.error()));
  auto poller = make_epoll_poller();
  if (!poller) return tl::unexpected<Error>(std::move(poller.error()));
  std::unique_ptr<Router> router(
      new Router(config, std::move(settings), http, std::move(*wake_up), std::move(*poller)));
  ENGRAM_TRY(router->poller_->add(router->wake_up_.fd(), kWakeUpToken, {.readable = true}));
  ENGRAM_TRY(router->listen());
  return router;
}

Status Router::listen() {
  const auto port = listeners_.change(config_.bind, config_.port, config_.tcp_backlog);
  if (!port) return tl::unexpected<Error>(port.error());
  services_.port = *port;
  if (config_.http_port == 0) return {};
  const auto http_port =
      http_listeners_.change(config_.http_bind, config_.http_port, config_.tcp_backlog);
  if (!http_port) return tl::unexpected<Error>(http_port.error());
  return {};
}

void Router::run() {
  while (!stop_.load()) turn();
}

void Router::request_shutdown() {
  stop_.store(true);
  wake_up_.notify();
}

void Router::turn() {
  const std::int64_t now_ms = steady_ms();
  if (!listeners_.accepting() && now_ms >= accept_again_ms_) set_accepting(true);
  drop_silent(now_ms);
  cluster_.tick(now_ms);
  timers_.run(now_ms);
  serve_queued();
  cluster_.flush();
  std::int64_t tick_ms = cluster_.next_tick_ms();
  if (const auto due_ms = timers_.next_ms()) tick_ms = std::min(tick_ms, *due_ms);
  const std::int64_t tick_in_ms = queued_.empty() ? tick_ms - steady_ms() : 0;
  const auto wait_ms = std::clamp<std::int64_t>(tick_in_ms, 0, kLongestWaitMs);
  for (const PollEvent& event : poller_->wait(std::chrono::milliseconds(wait_ms))) handle(event);
  serve_queued();
  cluster_.flush();
}

void Router::handle(const PollEvent& event) {
  if (event.token == kWakeUpToken) return wake_up_.drain();
  if (Listeners::is_token(event.token)) return accept_from(Listeners::descriptor(event.token));
  if ((event.token & LinkPool::kTokenBit) != 0) return cluster_.handle(event);
  const auto found = fronts_.find(event.token);
  if (found == fronts_.end()) return;
  if (event.readable || event.hung_up) found->second->receive(event.hung_up);
  enqueue(event.token);
}

void Router::accept_from(int listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd;
    const AcceptResult result = accept_tcp(listener, fd);
    if (result == AcceptResult::kAccepted) {
      admit(std::move(fd), http_listeners_.contains(listener));
      continue;
    }
    if (result == AcceptResult::kNoneWaiting) return;
    log_warning(std::string("cannot accept connections: ") + std::strerror(errno));
    // The listener stays readable; without a pause the loop would spin on it.
    set_accepting(false);
    accept_again_ms_ = steady_ms() + kAcceptPauseMs;
    return;
  }
}

void Router::set_accepting(bool accepting) {
  listeners_.set_accepting(accepting);
  http_listeners_.set_accepting(accepting);
}

/// Looks for them once a second.
void Router::drop_silent(std::int64_t now_ms) {
  if (now_ms - looked_for_silent_ms_ < kLongestWaitMs) return;
  looked_for_silent_ms_ = now_ms;
  std::erase_if(fronts_, [&](const auto& entry) {
    const std::int64_t drop_at_ms = entry.second->drop_at_ms();
    const bool is_over = drop_at_ms != 0 && drop_at_ms < now_ms;
    if (is_over) poller_->remove(entry.second->fd());
    return is_over;
  });
}

void Router::admit(UniqueFd fd, bool speaks_http) {
  const auto refuse = [&](std::string_view word, int status, const std::string& sentence) {
    const std::string bytes = speaks_http ? http_->refusal(status, sentence)
                                          : "-" + std::string(word) + " " + sentence + "\r\n";
    // Best effort: the socket is new, so its buffer has room.
    [[maybe_unused]] const ssize_t sent =
        ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  };
  if (std::cmp_greater_equal(fronts_.size(), config_.maxclients)) {
    return refuse("ERR", 503, "max number of clients reached");
  }
  if (config_.protected_mode && config_.requirepass.empty() && !is_peer_local(fd.get())) {
    return refuse("DENIED", 403,
                  "this router has no password and protected-mode, so it serves only its own "
                  "machine");
  }
  tune_connection(fd.get(), config_.tcp_keepalive);
  const std::uint64_t id = ++last_id_;
  const auto progressed = [this, id] { enqueue(id); };
  std::unique_ptr<Front> front;
  if (speaks_http) {
    front = http_->open(std::move(fd), id, services_, config_, progressed);
  } else {
    front = std::make_unique<RespFront>(std::move(fd), id, services_, progressed);
  }
  front->watched = {.readable = true};
  if (!poller_->add(front->fd(), id, front->watched)) return;
  ++counts_.connections;
  fronts_.emplace(id, std::move(front));
}

void Router::enqueue(std::uint64_t id) {
  queued_.push_back(id);
}

void Router::serve_queued() {
  std::sort(queued_.begin(), queued_.end());
  queued_.erase(std::unique(queued_.begin(), queued_.end()), queued_.end());
  std::vector<std::uint64_t> serving;
  serving.swap(queued_);
  for (const std::uint64_t id : serving) {
    const auto found = fronts_.find(id);
    if (found == fronts_.end()) continue;
    Front& front = *found->second;
    front.serve();
    if (front.finished()) {
      poller_->remove(front.fd());
      fronts_.erase(found);
      continue;
    }
    const Interest wanted = front.wanted_interest();
    if (wanted == front.watched) continue;
    poller_->modify(front.fd(), id, wanted);
    front.watched = wanted;
  }
}

}  // namespace engram::router
