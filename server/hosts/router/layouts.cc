// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/layouts.h"

#include <utility>

#include "server/hosts/router/slots.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

constexpr std::int64_t kRememberedMs = 1000;
constexpr std::int64_t kLaterMs = 5;
constexpr std::size_t kMostRemembered = 10'000;

Reply reply_of(const Answer& answer) {
  return answer.is_missing ? Reply::error(answer.bytes) : read_reply(answer.bytes);
}

tl::unexpected<Error> cannot_read(const std::string& index, const Reply& error) {
  return fail(ErrorCode::kUnavailable,
              "the layout of index '" + index + "' cannot be read (" + error.text + ")");
}

}  // namespace

void Layouts::find(const std::string& index, bool fresh, Callback callback) {
  if (const Status named = check_index_name(index); !named) {
    return callback(tl::unexpected(named.error()));
  }
  if (const Known* const known = fresh ? nullptr : remembered(index)) {
    return callback(known->layout);
  }
  const std::string key = meta_key(index);
  const bool may_be_stale = !fresh && cluster_.reads_may_be_stale();
  cluster_.send(
      {.slot = slot_of(key), .bytes = encode_command({"GET", key}), .may_be_stale = may_be_stale},
      [=, this, callback = std::move(callback)](const Answer& answer) {
        if (!may_be_stale) return take(index, answer, false, callback);
        // A layout of some time ago is as good: its keys are there, or it is read anew.
        take(index, answer, true, [=, this](Result<LayoutPtr> read) {
          const bool is_sure =
              read ? (*read)->is_usable() : read.error().code == ErrorCode::kUnavailable;
          if (is_sure) return callback(std::move(read));
          find(index, true, callback);
        });
      });
}

void Layouts::confirm(const std::string& index, Callback callback) {
  const std::string key = meta_key(index);
  cluster_.send({.slot = slot_of(key), .bytes = encode_command({"GET", key})},
                [=, this, callback = std::move(callback)](const Answer& answer) {
                  const Reply reply = reply_of(answer);
                  if (reply.is_error()) return callback(cannot_read(index, reply));
                  learn(index, reply, false, callback);
                });
}

void Layouts::find_later(const std::string& index, Callback callback) {
  std::vector<Callback>& waiting = waiting_[index];
  waiting.push_back(std::move(callback));
  if (waiting.size() > 1) return;
  timers_.add(steady_ms() + kLaterMs, [this, index] {
    find(index, true, [this, index](const Result<LayoutPtr>& found) {
      const std::vector<Callback> woken = std::exchange(waiting_[index], {});
      waiting_.erase(index);
      for (const Callback& each : woken) each(found);
    });
  });
}

/// One that is being made or dropped, or moves, will soon be another.
const Layouts::Known* Layouts::remembered(const std::string& index) const {
  const auto found = known_.find(index);
  const bool is_good = found != known_.end() && steady_ms() < found->second.until_ms &&
                       found->second.layout->is_usable();
  return is_good ? &found->second : nullptr;
}

bool Layouts::remembers_of_master(const std::string& index) const {
  const Known* const known = remembered(index);
  return known != nullptr && !known->may_be_stale;
}

void Layouts::take(const std::string& index, const Answer& answer, bool may_be_stale,
                   const Callback& callback) {
  const auto found = known_.find(index);
  const Reply reply = reply_of(answer);
  if (reply.is_error()) {
    // What a replica has said is not for those that asked a master.
    const bool is_held = found != known_.end() && (may_be_stale || !found->second.may_be_stale);
    if (answer.is_missing && is_held) return callback(found->second.layout);
    return callback(cannot_read(index, reply));
  }
  learn(index, reply, may_be_stale, callback);
}

/// From what the meta key holds.
void Layouts::learn(const std::string& index, const Reply& reply, bool may_be_stale,
                    const Callback& callback) {
  const auto found = known_.find(index);
  if (reply.kind != Reply::Kind::kText) {
    known_.erase(index);
    return callback(tl::unexpected<Error>(no_such_index(index)));
  }
  if (found != known_.end() && found->second.layout->stored == reply.text) {
    found->second.until_ms = steady_ms() + kRememberedMs;
    found->second.may_be_stale = may_be_stale;
    return callback(found->second.layout);
  }
  auto parsed = Layout::parse(index, reply.text);
  if (!parsed) return callback(tl::unexpected<Error>(std::move(parsed.error())));
  const bool is_same = found != known_.end() && found->second.layout->epoch == parsed->epoch;
  // Its keys have the names that it tells since it is usable.
  const bool was_usable = is_same && found->second.layout->is_usable();
  parsed->seen_ms = was_usable ? found->second.layout->seen_ms : steady_ms();
  if (known_.size() >= kMostRemembered) known_.clear();
  Known& known = known_[index];
  known.layout = std::make_shared<const Layout>(std::move(*parsed));
  known.until_ms = steady_ms() + kRememberedMs;
  known.may_be_stale = may_be_stale;
  callback(known.layout);
}

}  // namespace engram::router
