// SPDX-License-Identifier: Apache-2.0
// A command of a client while it is carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/cluster.h"
#include "server/hosts/router/layouts.h"
#include "server/hosts/router/timers.h"
#include "server/resp/reply_writer.h"

namespace engram::router {

/// What a client is to its router.
struct RouterClient {
  std::uint64_t id = 0;
  RespVersion version = RespVersion::kResp2;
  bool is_authenticated = false;
  bool is_closing = false;  ///< after the replies that are due
  std::string name = {};
  std::string address = {};
  std::string library = {};
  std::string library_version = {};
};

/// What the router counts.
struct RouterCounts {
  std::uint64_t connections = 0;
  std::uint64_t commands = 0;
  std::uint64_t missing = 0;      ///< partitions that an answer had to name
  std::uint64_t partial = 0;      ///< answers without all partitions
  std::uint64_t second_asks = 0;  ///< partitions that were asked for k
  std::uint64_t relaid = 0;       ///< commands that found another layout than was remembered
  std::uint64_t held_up = 0;      ///< commands that waited because others of their client hold much
};

/// What commands reach. Lives longer than every call.
struct RouterServices {
  Cluster& cluster;
  Layouts& layouts;
  RouterCounts& counts;
  Timers& timers;
  std::string password;  ///< of clients; empty: none
  int port = 0;
  std::int64_t started_ms = 0;
  std::function<std::size_t()> client_count = {};
  std::set<std::string> settling = {};  ///< indexes that settle_growth() is at
};

/// A reply in the order of its client's commands. Filled once; then `filled` is called.
class PendingReply {
 public:
  /// `load` counts the bytes that the commands of the client hold.
  PendingReply(std::shared_ptr<std::size_t> load, bool is_write)
      : load_(std::move(load)), is_write_(is_write) {}
  PendingReply(const PendingReply&) = delete;
  PendingReply& operator=(const PendingReply&) = delete;
  ~PendingReply() { *load_ -= charged_; }

  std::function<void()> filled = {};

  /// The command holds so many bytes more, until it is answered.
  void charge(std::size_t bytes) {
    *load_ += bytes;
    charged_ += bytes;
  }

  /// What kind of error it is going to be filled with, where that is known.
  void set_error_code(ErrorCode code) noexcept { error_code_ = code; }
  [[nodiscard]] std::optional<ErrorCode> error_code() const noexcept { return error_code_; }

  void fill(std::string&& reply) {
    bytes_ = std::move(reply);
    is_done_ = true;
    *load_ -= std::exchange(charged_, 0);
    charge(bytes_.size());
    if (filled) filled();
  }

  [[nodiscard]] bool is_done() const noexcept { return is_done_; }
  [[nodiscard]] bool is_write() const noexcept { return is_write_; }
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

 private:
  const std::shared_ptr<std::size_t> load_;
  const bool is_write_;
  std::size_t charged_ = 0;
  std::string bytes_;
  std::optional<ErrorCode> error_code_;
  bool is_done_ = false;
};

struct Call {
  std::vector<std::string> argv;  ///< argv[0] without the prefix of the module, in small letters
  RouterServices& services;
  RouterClient* client;  ///< of a command that ends at once; null for all others
  RespVersion version;
  std::shared_ptr<PendingReply> reply;
  std::optional<ReplicaWait> wait = {};  ///< of a write, REPLICAS
  std::int64_t held_since_ms = 0;        ///< since when its index is between two layouts; 0: not

  [[nodiscard]] LinkKind passing_link() const noexcept {
    return {version, wait ? LinkUse::kWaiting : LinkUse::kPlain};
  }

  /// The first answer counts: of a command in several parts, more than one may fail.
  void answer(std::string&& bytes) const {
    if (!reply->is_done()) reply->fill(std::move(bytes));
  }
  void answer(const std::function<void(ReplyWriter&)>& write) const {
    std::string bytes;
    ReplyWriter writer(bytes, version);
    write(writer);
    answer(std::move(bytes));
  }
  void answer_ok() const {
    answer([](ReplyWriter& writer) { writer.ok(); });
  }
  void answer_error(std::string_view line) const {
    answer([&](ReplyWriter& writer) { writer.error(line); });
  }
  void answer_error(const Error& error) const {
    reply->set_error_code(error.code);
    const bool is_missing = error.code == ErrorCode::kUnavailable;
    answer_error((is_missing ? "MISSING " : "ERR ") + error.message);
  }
};
using CallPtr = std::shared_ptr<Call>;

}  // namespace engram::router
