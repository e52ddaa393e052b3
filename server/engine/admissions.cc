// SPDX-License-Identifier: Apache-2.0
#include "server/engine/admissions.h"

#include <chrono>
#include <utility>

namespace engram {

struct Admissions::Check {
  Request request;
  std::shared_ptr<void> owner;
  GracePeriod::Ticket pin;    // of the rows of all that may be looked at
  PutsUnderWay::Moment seen;  // puts that were recorded before that are looked at
  std::vector<Slot> puts;     // that the search is to look at itself
  bool is_searching = true;   // on a worker
  Status status = {};         // of the search
  std::optional<NearSlot> nearest = std::nullopt;
};

void Admissions::ask(Request request) {
  parts_.puts.watch();
  const auto check = std::make_shared<Check>(Check{std::move(request), parts_.operations.owner(),
                                                   parts_.slots.pin_rows(), parts_.puts.now(),
                                                   parts_.puts.list()});
  waiting_.push(check);
  search(check, true);
}

/// in_index: not only among check->puts.
void Admissions::search(const std::shared_ptr<Check>& check, bool in_index) {
  check->is_searching = true;
  parts_.operations.read(
      parts_.pace.lane(),
      [this, check, in_index](Scratch& scratch) {
        const Pace::Timer timer(parts_.pace);
        check->status = parts_.view.find_nearest(check->request.vector, in_index, check->puts,
                                                 scratch, check->nearest);
      },
      [this, check] {
        check->is_searching = false;
        decide_in_order();
      });
}

/// For some of a millisecond, then others get their turn.
void Admissions::decide_in_order() {
  if (is_in_loop_) return;  // which goes on by itself
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + kShare;
  is_in_loop_ = true;
  while (!waiting_.empty() && !waiting_.front()->is_searching && !is_deciding_) {
    if (Clock::now() >= until) {
      rest();
      break;
    }
    is_deciding_ = true;
    const std::shared_ptr<Check> check = waiting_.front();
    check->request.when_recordable([this, check] {
      is_deciding_ = false;
      decide(check);
      decide_in_order();
    });
  }
  is_in_loop_ = false;
}

/// A job that does nothing ends in another turn of the loop.
void Admissions::rest() {
  if (std::exchange(is_resting_, true)) return;
  parts_.operations.read(
      Lane::kInteractive, [](Scratch&) {},
      [this] {
        is_resting_ = false;
        decide_in_order();
      });
}

/// It is the place of a key, or about to be.
bool Admissions::is_there(Slot slot) const {
  return parts_.slots.is_current(slot) || parts_.puts.contains(slot);
}

/// Puts that were recorded since the search began. False: they are so many that a worker looks.
bool Admissions::look_at_new_puts(const std::shared_ptr<Check>& check) {
  constexpr std::size_t kFew = 256;
  std::vector<Slot> slots;
  for (const Slot slot : parts_.puts.since(check->seen)) {
    if (is_there(slot)) slots.push_back(slot);
  }
  check->seen = parts_.puts.now();
  if (slots.size() > kFew) {
    check->puts = std::move(slots);
    search(check, false);
    return false;
  }
  parts_.view.find_nearest_of(check->request.vector, slots, check->nearest);
  return true;
}

void Admissions::decide(const std::shared_ptr<Check>& check) {
  if (check->status && !look_at_new_puts(check)) return;
  if (check->nearest && !is_there(check->nearest->slot)) {  // another may be near as well
    check->nearest.reset();
    check->puts = parts_.puts.list();
    return search(check, true);
  }
  Result<std::optional<std::string>> near;
  if (!check->status) {
    near = tl::unexpected(check->status.error());
  } else if (check->nearest && check->nearest->distance <= check->request.within) {
    near = std::string(parts_.view.key_of(check->nearest->slot));
  }
  waiting_.pop();
  check->request.decide(std::move(near));
  end(check);
}

void Admissions::end(const std::shared_ptr<Check>& check) {
  parts_.slots.unpin_rows(check->pin);
  if (!waiting_.empty()) parts_.puts.forget_before(waiting_.front()->seen);
  parts_.puts.unwatch();
}

void Admissions::abandon_waiting() {
  std::exchange(waiting_, {});
}

}  // namespace engram
