// SPDX-License-Identifier: Apache-2.0
// A client of a router: what came off its socket, and what is to go onto it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/net/byte_buffer.h"
#include "server/net/poller.h"
#include "server/net/unique_fd.h"

namespace engram::router {

/// Threads: the event loop's only.
class Front {
 public:
  /// `progressed` is called when something can go on that waited.
  Front(UniqueFd fd, std::function<void()> progressed)
      : fd_(std::move(fd)), progressed_(std::move(progressed)) {}
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;
  virtual ~Front() = default;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

  /// Takes what has arrived, at most one buffer. is_gone: the client neither sends nor takes
  /// anything more, so if nothing is taken of what has arrived, it is lost.
  void receive(bool is_gone);
  /// Carries out what may be carried out now, and sends what the socket takes.
  void serve();
  /// Nothing is left to do for it.
  [[nodiscard]] bool finished();
  [[nodiscard]] Interest wanted_interest() const noexcept;

  /// When it is to be dropped, in the time of steady_ms(); 0: not yet, or never.
  [[nodiscard]] std::int64_t drop_at_ms() const noexcept;

  Interest watched;  ///< what the poller has been told

 protected:
  static constexpr std::size_t kMostUnsent = 1UL << 20;  ///< what is to be sent beyond that waits

  /// Carries out the next request. False if nothing more can be started for now.
  virtual bool start_next() = 0;
  /// Appends the replies whose turn has come to output_.
  virtual void collect_replies() {}
  /// No reply is due.
  [[nodiscard]] virtual bool is_idle() const noexcept = 0;
  /// Nothing that comes is carried out any more.
  [[nodiscard]] virtual bool is_closing() const noexcept = 0;
  /// Whether the client, which is_closing(), may be sending still: it is heard out, or it would
  /// lose the last reply.
  [[nodiscard]] virtual bool is_heard_out() const noexcept { return false; }

  /// When a client for which nothing is due is to be dropped unless it sends something, in the time
  /// of steady_ms(); 0: never.
  [[nodiscard]] virtual std::int64_t silent_until_ms() const noexcept { return 0; }

  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return output_.size() - sent_; }

  const UniqueFd fd_;
  const std::function<void()> progressed_;
  ByteBuffer input_;
  std::string output_;
  bool is_held_up_ = false;                                       // the next request has to wait
  bool is_lost_ = false;                                          // the socket, or what came off it
  std::int64_t active_ms_ = 0;                                    // when something came last
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // replies may outlive a client

 private:
  [[nodiscard]] bool takes_input() const noexcept;
  void send();

  std::size_t sent_ = 0;
  bool input_ended_ = false;
  std::int64_t lingers_until_ms_ = 0;  // it has been told that no more comes; 0: not yet
};

}  // namespace engram::router
