// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/resp_front.h"

#include <utility>

#include "core/hash.h"
#include "server/commands/errors.h"
#include "server/net/socket.h"
#include "server/runtime/sip_hash.h"

namespace engram::router {
namespace {

constexpr std::size_t kMostUnderWay = 1024;
constexpr std::size_t kMostBytesUnderWay = 64UL << 20;
constexpr std::size_t kWordBytes = 48;  // of an argument, beside what it says

constexpr bool is_write(CommandKind kind) noexcept {
  return kind == CommandKind::kKeyWrite || kind == CommandKind::kWrite;
}

/// What two writes have in common that must not overtake each other.
std::uint64_t order_of(const CommandSpec& spec, const std::vector<std::string>& argv) {
  if (spec.kind != CommandKind::kKeyWrite || argv.size() < 3) return 0;
  return mix(sip_hash(1, argv[1])) ^ sip_hash(2, argv[2]);
}

std::string wrong_arity(std::string_view name) {
  return "ERR wrong number of arguments for '" + std::string(name) + "' command";
}

/// REPLICAS may follow.
bool takes_replica_wait(const CommandSpec& spec) {
  return spec.kind == CommandKind::kKeyWrite || spec.handler == vmadd;
}

bool fits(const CommandSpec& spec, std::size_t words) {
  const auto count = static_cast<int>(words);
  return spec.arity < 0 ? count >= -spec.arity : count == spec.arity;
}

}  // namespace

RespFront::RespFront(UniqueFd fd, std::uint64_t id, RouterServices& services,
                     std::function<void()> progressed)
    : Front(std::move(fd), std::move(progressed)), services_(services) {
  client_.id = id;
  client_.address = peer_name(fd_.get());
  client_.is_authenticated = services.password.empty();
}

bool RespFront::start_next() {
  const bool was_held_up = is_held_up_;
  const bool holds_much = !replies_.empty() && *load_ >= kMostBytesUnderWay;
  is_held_up_ = holds_much || replies_.size() >= kMostUnderWay || unsent_bytes() >= kMostUnsent;
  if (holds_much && !was_held_up && !input_.view().empty()) ++services_.counts.held_up;
  if (is_held_up_) return false;
  parser_.set_limits({.authenticated = client_.is_authenticated});
  const RequestParser::Outcome outcome = parser_.parse(input_.view());
  if (outcome == RequestParser::Outcome::kError) {
    refuse(parser_.error());
    client_.is_closing = true;
    return false;
  }
  if (outcome == RequestParser::Outcome::kRequest) {
    const auto words = parser_.arguments();
    std::vector<std::string> argv(words.begin(), words.end());
    const std::string shown_name = std::exchange(argv[0], command_name(argv[0]));
    const CommandSpec* const spec = find_command(argv[0]);
    // A web page may make a browser send an HTTP request with commands in its body.
    if (argv[0] == "post" || argv[0] == "host:") {
      is_lost_ = true;
      return false;
    }
    const bool needs_password =
        !client_.is_authenticated && argv[0] != "auth" && argv[0] != "hello" && argv[0] != "quit";
    if (needs_password) {
      refuse(kNoAuthError);
    } else if (spec == nullptr) {
      refuse("ERR unknown command '" + shown_name +
             "' for a router, which carries out commands on "
             "indexes");
    } else if (!takes_replica_wait(*spec) && !fits(*spec, argv.size())) {
      refuse(wrong_arity(argv[0]));
    } else {
      const std::uint64_t order = order_of(*spec, argv);
      is_held_up_ = !may_start(spec->kind, order);
      if (is_held_up_) return false;
      start(*spec, order, std::move(argv));
    }
  }
  input_.consume(parser_.consume());
  return outcome == RequestParser::Outcome::kRequest;
}

bool RespFront::may_start(CommandKind kind, std::uint64_t order) const noexcept {
  switch (kind) {
    case CommandKind::kLocal:
      return true;
    case CommandKind::kRead:
      return writes_ == 0 && keys_written_.empty();
    case CommandKind::kKeyWrite:
      return reads_ == 0 && writes_ == 0 && !keys_written_.contains(order);
    case CommandKind::kWrite:
      return reads_ == 0 && writes_ == 0 && keys_written_.empty();
  }
  return true;
}

void RespFront::start(const CommandSpec& spec, std::uint64_t order, std::vector<std::string> argv) {
  ++services_.counts.commands;
  auto reply = std::make_shared<PendingReply>(load_, is_write(spec.kind));
  for (const std::string& word : argv) reply->charge(word.size() + kWordBytes);
  if (spec.kind == CommandKind::kRead) ++reads_;
  if (spec.kind == CommandKind::kWrite) ++writes_;
  if (spec.kind == CommandKind::kKeyWrite) keys_written_.insert(order);
  replies_.push_back(reply);
  const std::weak_ptr<bool> alive = alive_;
  reply->filled = [this, alive, order, kind = spec.kind] {
    if (alive.expired()) return;
    if (kind == CommandKind::kRead) --reads_;
    if (kind == CommandKind::kWrite) --writes_;
    if (kind == CommandKind::kKeyWrite) keys_written_.erase(order);
    progressed_();
  };
  auto call =
      std::make_shared<Call>(Call{.argv = std::move(argv),
                                  .services = services_,
                                  .client = spec.kind == CommandKind::kLocal ? &client_ : nullptr,
                                  .version = client_.version,
                                  .reply = reply});
  if (takes_replica_wait(spec)) {
    if (const Status read = take_replica_wait(*call); !read) {
      return call->answer_error(read.error());
    }
    if (!fits(spec, call->argv.size())) return call->answer_error(wrong_arity(spec.name));
  }
  spec.handler(call);
}

void RespFront::refuse(std::string_view error) {
  auto reply = std::make_shared<PendingReply>(load_, false);
  std::string line;
  ReplyWriter(line, client_.version).error(error);
  reply->fill(std::move(line));
  replies_.push_back(std::move(reply));
}

void RespFront::collect_replies() {
  while (!replies_.empty() && replies_.front()->is_done()) {
    output_ += replies_.front()->bytes();
    replies_.pop_front();
  }
}

}  // namespace engram::router
