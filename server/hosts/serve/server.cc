// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/serve/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "server/commands/table.h"
#include "server/doors/http/http_response.h"
#include "server/engine/persistence.h"
#include "server/hosts/serve/service_manager.h"
#include "server/net/socket.h"
#include "server/runtime/log.h"
#include "server/runtime/memory.h"
#include "server/runtime/process.h"
#include "server/runtime/thread_traits.h"

namespace engram {
namespace {

// A client's token of the poller is its id.
constexpr std::uint64_t kWakeUpToken = 0;

constexpr std::int64_t kTickMs = 100;
constexpr std::chrono::milliseconds kNoTime{0};
constexpr std::chrono::milliseconds kForever{-1};
constexpr int kAcceptsPerTurn = 64;
// To send the rest of a large request; who never stops sending is dropped then.
constexpr std::int64_t kMostLingerMs = 10'000;
constexpr std::int64_t kIdleMs = 2000;              // then a client's buffers are given back,
constexpr std::int64_t kReleaseEveryMs = 1000;      // looked for as often
constexpr std::size_t kWorthReturning = 1UL << 20;  // to the operating system, in bytes

constexpr std::string_view kDeniedPrefix = "-DENIED ";
constexpr std::string_view kProtectedModeError =
    "-DENIED engram is running in protected mode: it has no password and serves this computer "
    "only. To connect from another, 1) set a password, with 'CONFIG SET requirepass' from this "
    "computer or with 'requirepass' in the configuration file; or 2) end protected mode, with "
    "'CONFIG SET protected-mode no' from this computer, with 'protected-mode no' in the "
    "configuration file, or with the option '--protected-mode no', once nobody else can reach the "
    "server.\r\n";

/// Takes the locks of the allocator for milliseconds.
class MemoryReturn final : public Job {
 public:
  void run(Scratch&) noexcept override { return_free_memory(); }
};

Status enter_directory(ServerConfig& config) {
  if (config.dir.empty()) return {};
  const auto path = directory_path(config.dir);
  if (!path) {
    return fail(ErrorCode::kIo, "cannot use dir " + config.dir + ": " + path.error().message);
  }
  config.dir = *path;
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::make(ServerConfig config, FileSystem& disk,
                                             GrpcOpener open_grpc) {
  ENGRAM_TRY(enter_directory(config));
  const auto warning = fit_clients(config.maxclients);
  if (!warning) return tl::unexpected<Error>(warning.error());
  if (!warning->empty()) log_warning(*warning);
  auto wake_up = WakeUp::make();
  if (!wake_up) return tl::unexpected<Error>(std::move(wake_up.error()));
  auto poller = make_epoll_poller();
  if (!poller) return tl::unexpected<Error>(std::move(poller.error()));
  std::unique_ptr<Server> server(
      new Server(std::move(config), std::move(*wake_up), std::move(*poller)));
  ENGRAM_TRY(server->poller_->add(server->wake_up_.fd(), kWakeUpToken, {.readable = true}));
  ENGRAM_TRY(server->open_store(disk));
  const auto port = server->open_listeners(server->config_.bind, server->config_.port);
  if (!port) return tl::unexpected<Error>(port.error());
  server->config_.port = *port;
  ENGRAM_TRY(server->listen_for_http());
  ENGRAM_TRY(server->listen_for_grpc(open_grpc));
  return server;
}

Server::Server(ServerConfig config, WakeUp wake_up, std::unique_ptr<Poller> poller)
    : config_(std::move(config)),
      wake_up_(std::move(wake_up)),
      poller_(std::move(poller)),
      listeners_(*poller_),
      http_listeners_(*poller_) {
  stats_.started_ms = unix_time_ms();
}

Server::~Server() {
  [[maybe_unused]] const Status stopped = stop();
}

Status Server::open_store(FileSystem& disk) {
  auto store = Store::open({.directory = config_.appendonly ? config_.dir : std::string(),
                            .fsync = fsync_policy(config_.appendfsync),
                            .keep_previous = keep_previous(config_.keep_previous_snapshot),
                            .kernel = config_.kernel,
                            .workers = static_cast<std::size_t>(config_.workers)},
                           *this, disk);
  if (!store) return tl::unexpected(std::move(store.error()));
  store_ = std::move(*store);
  store_->set_most_column_bytes(config_.attribute_columns_max_bytes);
  config_.workers = static_cast<int>(store_->workers().size());
  sessions_.emplace(*store_, stats_);
  store_->set_memory_check([this] {
    return config_.maxmemory != 0 && sessions_->memory().exceeds(config_.maxmemory, 0);
  });
  services_.emplace(
      Services{*store_, config_, stats_, *this, *sessions_, *sessions_, command_table()});
  return {};
}

void Server::wake() {
  wake_up_.notify();
}

/// Nothing but the wake-up is watched before the server listens.
void Server::wait() {
  poller_->wait(kForever);
  wake_up_.drain();
}

void Server::request_shutdown() {
  stop_.store(true);
  wake_up_.notify();
}

Status Server::run() {
  name_this_thread("event-loop");
  prefer_latency();
  tell_service_manager("READY=1");
  // A transaction that runs is carried out to its end.
  while (!stop_.load() || store_->gate().is_closed()) turn();
  tell_service_manager("STOPPING=1");
  Status stopped = stop();
  store_->abandon_waiting_operations();
  connections_.clear();
  listeners_.clear();
  http_listeners_.clear();
  return stopped;
}

Status Server::stop() {
  if (grpc_) grpc_->close();
  return store_ == nullptr ? Status() : store_->close();
}

/// What is ready, waiting for it if nothing is.
std::span<const PollEvent> Server::next_events() {
  const auto wait = longest_wait();
  if (wait == kNoTime) return poller_->wait(kNoTime);
  if (store_->workers().expects_completion()) return look_for_events();
  if (!store_->workers().begin_nap()) return poller_->wait(wait);
  const auto events = poller_->wait(store_->workers().nap_length());
  store_->workers().end_nap(events.empty());
  return events;
}

/// The same, but looks again and again before it sleeps.
std::span<const PollEvent> Server::look_for_events() {
  using Clock = std::chrono::steady_clock;
  for (const auto end = Clock::now() + WorkerPool::kPatience; Clock::now() < end;) {
    if (const auto events = poller_->wait(kNoTime); !events.empty()) return events;
  }
  return poller_->wait(longest_wait());
}

void Server::turn() {
  const auto events = next_events();
  store_->begin_turn(unix_time_ms());
  for (const PollEvent& event : events) handle(event);
  store_->collect();
  sessions_->end_pause_if_due();
  sessions_->release_held();
  if (!stop_.load()) {
    serve_queued();
    if (grpc_) grpc_->execute();
  }
  store_->end_turn();
  tick();
  sessions_->release_held();
}

void Server::handle(const PollEvent& event) {
  if (event.token == kWakeUpToken) {
    wake_up_.drain();
    return;
  }
  if (Listeners::is_token(event.token)) return accept_from(Listeners::descriptor(event.token));
  Connection* const connection = find(event.token);
  if (connection == nullptr) return;
  if (stop_.load()) return unwatch(*connection);
  if (event.hung_up) {
    connection->abandon();
  } else if (event.readable) {
    connection->receive();
  }
  enqueue(*connection);
}

void Server::enqueue(Connection& connection) {
  if (std::exchange(connection.queued, true)) return;
  queued_.push_back(connection.id());
}

/// Every connection on the list executes its share and sends all its replies in one go. Those that
/// could go on are on the list of the next turn.
void Server::serve_queued() {
  serving_.swap(queued_);
  some_have_buffers_ |= !serving_.empty();
  for (const ClientId id : serving_) {
    Connection* const connection = find(id);
    if (connection == nullptr) continue;
    connection->queued = false;
    connection->execute();
    connection->send();
    if (connection->finished() && !lingers(*connection)) {
      close(*connection);
      continue;
    }
    if (const Interest wanted = connection->wanted_interest(); wanted != connection->watched) {
      poller_->modify(connection->fd(), id, wanted);
      connection->watched = wanted;
    }
    if (connection->can_continue()) enqueue(*connection);
  }
  serving_.clear();
}

/// How long the loop may sleep. An idle server whose keys do not expire sleeps for ever.
std::chrono::milliseconds Server::longest_wait() const {
  if (!queued_.empty() && !stop_.load()) return kNoTime;
  const std::int64_t now_ms = store_->keyspace().now_ms();
  const bool ticking = stats_.commands != sampled_commands_ || stats_.commands_per_second != 0 ||
                       !listeners_.accepting() || some_have_buffers_ || !lingering_.empty() ||
                       (drops_silent_clients() && !connections_.empty());
  std::int64_t wait = ticking ? std::clamp<std::int64_t>(next_tick_ms_ - now_ms, 0, kTickMs) : -1;
  const auto wait_at_most = [&wait](std::int64_t ms) { wait = wait < 0 ? ms : std::min(wait, ms); };
  if (const auto sleep = store_->longest_sleep()) wait_at_most(sleep->count());
  if (sessions_->paused() != Pause::kNone) {
    wait_at_most(std::clamp<std::int64_t>(sessions_->pause_ends_ms() - now_ms, 0, kTickMs));
  }
  return std::chrono::milliseconds(wait);
}

void Server::tick() {
  const std::int64_t now_ms = store_->keyspace().now_ms();
  // The wall clock may have been set back; then the old appointment is far off.
  if (now_ms < next_tick_ms_ && next_tick_ms_ - now_ms <= kTickMs) return;
  next_tick_ms_ = now_ms + kTickMs;
  sample_throughput();
  if (drops_silent_clients()) drop_silent_clients();
  if (!lingering_.empty()) drop_lingering_clients();
  if (some_have_buffers_) release_idle_buffers();
  if (!listeners_.accepting()) set_accepting(true);
  save_if_due();
}

void Server::save_if_due() {
  SnapshotRules rules{
      .ages = {},
      .journal_percent = static_cast<std::uint64_t>(config_.auto_aof_rewrite_percentage),
      .journal_bytes = config_.auto_aof_rewrite_min_size};
  for (const auto& [seconds, changes] : config_.save) {
    rules.ages.push_back({seconds, static_cast<std::uint64_t>(changes)});
  }
  store_->save_if_due(rules);
}

void Server::sample_throughput() {
  const std::int64_t now_ms = store_->keyspace().now_ms();
  const auto elapsed_ms =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, now_ms - sampled_ms_));
  // CONFIG RESETSTAT makes the counter smaller.
  const std::uint64_t executed =
      stats_.commands >= sampled_commands_ ? stats_.commands - sampled_commands_ : 0;
  stats_.commands_per_second = executed * 1000 / elapsed_ms;
  sampled_commands_ = stats_.commands;
  sampled_ms_ = now_ms;
}

bool Server::drops_silent_clients() const noexcept {
  return config_.timeout > 0 || (config_.http_port != 0 && config_.http_timeout > 0);
}

void Server::drop_silent_clients() {
  const std::int64_t now_ms = store_->keyspace().now_ms();
  for (const auto& [id, connection] : connections_) {
    const std::int64_t until_ms = connection->silent_until_ms();
    if (until_ms == 0 || until_ms > now_ms || !connection->quiet() ||
        sessions_->waits_for_pause(id)) {
      continue;
    }
    close_client(id);
  }
}

bool Server::lingers(Connection& connection) {
  const bool is_new = !connection.lingers();
  if (!connection.linger()) return false;
  const std::int64_t now_ms = store_->keyspace().now_ms();
  if (is_new) lingering_.emplace_back(now_ms + kMostLingerMs, connection.id());
  return true;
}

void Server::drop_lingering_clients() {
  const std::int64_t now_ms = store_->keyspace().now_ms();
  while (!lingering_.empty()) {
    const auto [until_ms, id] = lingering_.front();
    if (until_ms > now_ms && find(id) != nullptr) return;
    lingering_.pop_front();
    close_client(id);
  }
}

/// Most clients of a server are idle, and are to cost little.
void Server::release_idle_buffers() {
  const std::int64_t now_ms = store_->keyspace().now_ms();
  if (std::abs(now_ms - buffers_released_ms_) < kReleaseEveryMs) return;
  buffers_released_ms_ = now_ms;
  some_have_buffers_ = false;
  std::size_t released = 0;
  for (const auto& [id, connection] : connections_) {
    if (!connection->quiet()) continue;  // looked at again when it goes on
    if (now_ms - connection->client().active_ms >= kIdleMs) {
      released += connection->release_buffers();
    } else {
      some_have_buffers_ = true;
    }
  }
  if (released >= kWorthReturning) {
    store_->workers().submit_detached(std::make_unique<MemoryReturn>());
  }
}

void Server::accept_from(int listener) {
  const bool is_http = http_listeners_.contains(listener);
  // A change of bind or port in this very turn may have closed it.
  if (!is_http && !listeners_.contains(listener)) return;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    UniqueFd fd;
    const AcceptResult result = accept_tcp(listener, fd);
    if (result == AcceptResult::kNoneWaiting) return;
    if (result == AcceptResult::kFailed) {
      return log_error(std::string("cannot accept connections: ") + std::strerror(errno));
    }
    if (result == AcceptResult::kOutOfDescriptors) {
      log_warning("cannot accept connections: the process is out of file descriptors");
      // The listener stays readable; without a pause the loop would spin on it.
      return set_accepting(false);
    }
    admit(std::move(fd), is_http ? Protocol::kHttp : Protocol::kResp);
  }
}

void Server::set_accepting(bool accepting) {
  listeners_.set_accepting(accepting);
  http_listeners_.set_accepting(accepting);
}

/// Best effort: the socket is new, so its buffer has room.
void Server::refuse(int fd, std::string_view reply) {
  [[maybe_unused]] const ssize_t sent =
      ::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ++stats_.rejected_connections;
}

void Server::admit(UniqueFd fd, Protocol protocol) {
  const bool is_http = protocol == Protocol::kHttp;
  if (std::cmp_greater_equal(connections_.size(), config_.maxclients)) {
    constexpr std::string_view kError = "-ERR max number of clients reached\r\n";
    return is_http ? refuse(fd.get(), unasked_response(503, "max number of clients reached"))
                   : refuse(fd.get(), kError);
  }
  if (config_.protected_mode && config_.requirepass.empty() && !is_peer_local(fd.get())) {
    constexpr std::string_view kSentence =
        kProtectedModeError.substr(0, kProtectedModeError.size() - 2).substr(kDeniedPrefix.size());
    return is_http ? refuse(fd.get(), unasked_response(403, kSentence))
                   : refuse(fd.get(), kProtectedModeError);
  }
  tune_connection(fd.get(), config_.tcp_keepalive);
  auto connection = std::make_unique<Connection>(
      std::move(fd), *sessions_, *services_,
      [this](Connection& progressed) { enqueue(progressed); }, protocol);
  const ClientId id = connection->id();
  connection->watched = {.readable = true};
  if (!poller_->add(connection->fd(), id, connection->watched)) return;
  connection->is_watched = true;
  ++stats_.connections;
  connections_.emplace(id, std::move(connection));
}

void Server::unwatch(Connection& connection) {
  if (std::exchange(connection.is_watched, false)) poller_->remove(connection.fd());
}

/// Its session stays until a transaction that runs has ended, which looks at it then.
void Server::close(Connection& connection) {
  unwatch(connection);
  if (!connection.must_stay()) connections_.erase(connection.id());
}

Connection* Server::find(ClientId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Server::for_each_client(const std::function<void(Client&)>& visit) {
  std::vector<ClientId> ids;
  ids.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const ClientId id : ids) {
    Connection& connection = *find(id);
    connection.refresh_client();
    visit(connection.client());
  }
}

void Server::refresh_client(ClientId id) {
  if (Connection* const connection = find(id)) connection->refresh_client();
}

void Server::close_client(ClientId id) {
  Connection* const connection = find(id);
  if (connection == nullptr) return;
  connection->abandon();
  enqueue(*connection);
}

}  // namespace engram
