// SPDX-License-Identifier: Apache-2.0
// The order of a client's replies. A command that is answered later reserves a place; the replies
// of those behind it wait in that place, and everything leaves in the order of the commands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "server/commands/spec.h"
#include "server/session/reply_sink.h"

namespace engram {

/// Threads: the event loop's only.
class ReplyOrder {
 public:
  explicit ReplyOrder(ClientSink& sink) noexcept : sink_(sink) {}

  /// Reserves a place for a command of `kind`; `muted`: nothing is to be seen of its reply. Until
  /// it is filled it counts as `expected_bytes`. Returns its sequence number, next() of before.
  std::uint64_t reserve(CommandKind kind, bool muted, std::size_t expected_bytes);
  /// The sequence number of the next place.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

  /// An empty place counts as `bytes` more until it is filled.
  void expect(std::uint64_t sequence, std::size_t bytes);

  /// Adds to the reply in a place; it leaves at once if nothing is due before.
  void extend(std::uint64_t sequence, std::string bytes);
  /// Nothing is due before that place.
  [[nodiscard]] bool is_first(std::uint64_t sequence) const noexcept { return sequence == first_; }
  /// How much of the reply in a place waits there.
  [[nodiscard]] std::size_t bytes_at(std::uint64_t sequence) const noexcept {
    return places_[sequence - first_].reply.size();
  }

  /// Fills a place, with the last part of the reply.
  void fill(std::uint64_t sequence, std::string bytes);

  /// The place is not left before release(); until then it counts as `bytes` more, which the
  /// journal may have in memory.
  void hold(std::uint64_t sequence, std::size_t bytes);
  /// The place may be left; with an error, that takes the reply's place.
  void release(std::uint64_t sequence, const Error* error);

  /// Adds a reply behind those that are due.
  void append(std::string_view bytes);
  /// As append(), and spares a copy of a large one.
  void take(std::string bytes);

  /// Nothing leaves while this is true, so that the place of the command being executed can still
  /// be held.
  void set_kept_back(bool kept_back);

  [[nodiscard]] bool empty() const noexcept { return next_ == first_; }
  [[nodiscard]] std::size_t size() const noexcept { return next_ - first_; }
  /// Bytes of replies in places, as expected where they are not there yet, and of what is held.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// How many commands of `kind` have not been answered.
  [[nodiscard]] std::size_t unanswered(CommandKind kind) const noexcept {
    return unanswered_[static_cast<std::size_t>(kind)];
  }
  /// How many commands have not been answered.
  [[nodiscard]] std::size_t unanswered() const noexcept;

 private:
  /// A reply that was promised, and the replies of the commands after it up to the next such.
  struct Place {
    CommandKind kind;
    bool muted;
    std::size_t expected_bytes;
    bool answered = false;
    std::size_t holds = 0;  // that were not released
    std::size_t held_bytes = 0;
    std::string reply = {};
    std::string error = {};  // takes the reply's place
    std::string following = {};
  };

  Place& at(std::uint64_t sequence);
  static void add_part(Place& place, std::string bytes);
  void leave();

  ClientSink& sink_;
  std::deque<Place> places_;
  std::size_t bytes_ = 0;
  std::uint64_t first_ = 0;  // sequence number of places_.front()
  std::uint64_t next_ = 0;   // first_ + places_.size(), which a deque computes slowly
  std::array<std::size_t, kCommandKinds> unanswered_ = {};
  bool kept_back_ = false;
};

}  // namespace engram
