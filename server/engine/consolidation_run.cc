// SPDX-License-Identifier: Apache-2.0
#include "server/engine/consolidation_run.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "server/engine/not_writable.h"
#include "server/engine/persistence.h"
#include "server/engine/store.h"

namespace engram {
namespace {

constexpr std::size_t kMostAtOnce = 64;            // members of a group, in one turn of the loop
constexpr std::size_t kErasuresBetweenLooks = 16;  // at the clock

}  // namespace

/// A group that is being written over several turns, as a transaction would.
struct ConsolidationRun::Large {
  ConsolidationGroup& group;
  Consolidation::Renewal renewal = {};
  std::size_t next = 0;        // of the members, to erase
  std::size_t unfinished = 1;  // writes, and this itself
  Status status = {};
};

ConsolidationRun::ConsolidationRun(Store& store, Order order, std::shared_ptr<Consolidation> work,
                                   Caller caller)
    : store_(store), order_(std::move(order)), caller_(std::move(caller)), work_(std::move(work)) {}

double ConsolidationRun::strength_of(const ConsolidationGroup& group) const {
  const bool is_count = order_.params.replay.draws > 0 || !order_.from->has_strengths();
  const double strength = std::exp(group.log_strength);
  return is_count ? std::round(strength) : strength;
}

void ConsolidationRun::next() {
  work_->make_next(
      {.check = [self = shared_from_this()] { return self->caller_.check(); },
       .ready = [self = shared_from_this()](const auto& groups) { self->take(groups); }});
}

void ConsolidationRun::take(const Result<std::span<ConsolidationGroup>>& groups) {
  if (!groups) return fail_with(groups.error());
  if (const Status sound = check_state(); !sound) return fail_with(sound.error());
  if (groups->empty()) return caller_.ended(shared_from_this(), {}, lsn_);
  if (order_.is_dry) return next();
  batch_ = *groups;
  begun_ = 0;
  write();
}

/// Before anything is written, and now and then: nothing may depend on damage, and a group that is
/// written has to be told of in the end.
Status ConsolidationRun::check_state() {
  if (std::exchange(is_first_, false) && caller_.check_groups) {
    ENGRAM_TRY(caller_.check_groups(*work_));
  }
  return caller_.check();
}

/// Groups are written in the loop's spare time.
void ConsolidationRun::write() {
  if (std::exchange(is_waiting_, true)) return;
  store_.slices().add([self = shared_from_this()](auto until) { return self->write_some(until); });
  store_.run_soon([] {});  // the loop may be asleep
}

bool ConsolidationRun::write_some(LoopSlices::Clock::time_point until) {
  const bool one_by_one = order_.from->spec().primitive->traits.order_dependent;
  while (begun_ < batch_.size() && status_) {
    status_ = caller_.check();
    if (!status_) break;
    if (store_.gate().is_closed()) {
      is_waiting_ = false;
      store_.gate().when_open([self = shared_from_this()] { self->write(); });
      return true;
    }
    if (one_by_one && under_way_ > 0) break;
    ConsolidationGroup& group = batch_[begun_++];
    if (!order_.into && group.members.size() > kMostAtOnce) {
      is_waiting_ = false;
      begin_large(group);
      return true;
    }
    write_one(group);
    if (LoopSlices::Clock::now() >= until && begun_ < batch_.size()) return false;
  }
  is_waiting_ = false;
  end_batch_if_written();
  return true;
}

void ConsolidationRun::write_one(ConsolidationGroup& group) {
  if (!order_.into && group.members.size() == 1) return;  // it is one already
  Consolidation::Renewal renewal;
  if (!order_.into) work_->renew(group, renewal, group.members.size());
  if (!renewal.is_unchanged) {
    group.is_dropped = true;
    return;
  }
  Status begun = check_writable();
  ++under_way_;
  store_.gate().enter();
  if (begun) begun = start_write(group);
  if (!begun) end_write(begun);
  group.prototype.vector = {};
}

Status ConsolidationRun::check_writable() {
  const Status health = store_.persistence() == nullptr ? Status() : store_.persistence()->health();
  if (health) return {};
  return tl::unexpected(not_writable(health.error()));
}

void ConsolidationRun::add_slice(const std::shared_ptr<Large>& large, LargeWork step) {
  store_.slices().add([self = shared_from_this(), large, step](auto until) {
    return (self.get()->*step)(large, until);
  });
  store_.run_soon([] {});  // the loop may be asleep
}

/// A large group is written in slices, between which reads pass and other writes wait: what stands
/// for it first, and when that is there the others go.
void ConsolidationRun::begin_large(ConsolidationGroup& group) {
  ++under_way_;
  store_.gate().close();
  store_.gate().enter();
  store_.begin_transaction();
  add_slice(std::make_shared<Large>(Large{group}), &ConsolidationRun::renew_large);
}

bool ConsolidationRun::renew_large(const std::shared_ptr<Large>& large, Time until) {
  while (work_->renew(large->group, large->renewal, kMostAtOnce)) {
    if (LoopSlices::Clock::now() >= until) return false;
  }
  large->group.is_dropped = !large->renewal.is_unchanged;
  const Status writable = check_writable();
  writable && !large->group.is_dropped ? put_large(large) : close_large(large, writable);
  return true;
}

void ConsolidationRun::put_large(const std::shared_ptr<Large>& large) {
  const ConsolidationGroup& group = large->group;
  const Merge one = {.key = work_->key_of(group.prototype.kept),
                     .vector = group.prototype.vector,
                     .trace = group.trace,
                     .ms = order_.params.at_ms};
  const Status begun =
      order_.from->merge(one, [self = shared_from_this(), large](const Status& status) {
        if (!status) return self->close_large(large, status);
        self->add_slice(large, &ConsolidationRun::erase_large);
      });
  if (!begun) close_large(large, begun);
}

bool ConsolidationRun::erase_large(const std::shared_ptr<Large>& large, Time until) {
  const ConsolidationGroup& group = large->group;
  while (large->next < group.members.size()) {
    const std::uint32_t item = group.members[large->next++];
    if (item == group.prototype.kept) continue;
    ++large->unfinished;
    order_.from->erase(work_->key_of(item), [self = shared_from_this(), large](bool) {
      self->end_large_part(large, {});
    });
    if (large->next % kErasuresBetweenLooks == 0 && LoopSlices::Clock::now() >= until) return false;
  }
  ++written_;
  absorbed_ += group.members.size() - 1;
  close_large(large, {});
  return true;
}

/// All was recorded, or nothing but what came of a failure: others may write again. Some of the
/// erasures are still to be carried out.
void ConsolidationRun::close_large(const std::shared_ptr<Large>& large, const Status& status) {
  lsn_ = std::max(lsn_, store_.end_transaction());
  store_.gate().open();
  end_large_part(large, status);
}

void ConsolidationRun::end_large_part(const std::shared_ptr<Large>& large, const Status& status) {
  if (!status) large->status = status;
  if (--large->unfinished > 0) return;
  large->group.prototype.vector = {};
  end_write(large->status);
}

/// What is recorded is one frame.
Status ConsolidationRun::start_write(ConsolidationGroup& group) {
  seal();
  if (order_.into) {
    ENGRAM_TRY(put_elsewhere(group));
  } else {
    const std::uint32_t kept = group.prototype.kept;
    Merge merge = {.key = work_->key_of(kept),
                   .vector = group.prototype.vector,
                   .trace = group.trace,
                   .ms = order_.params.at_ms};
    for (const std::uint32_t item : group.members) {
      if (item != kept) merge.others.push_back(work_->key_of(item));
    }
    const std::size_t gone = merge.others.size();
    ENGRAM_TRY(order_.from->merge(merge, [self = shared_from_this(), gone](const Status& status) {
      if (status) self->absorbed_ += gone;
      self->end_write(status);
    }));
  }
  ++written_;
  seal();
  return {};
}

Status ConsolidationRun::put_elsewhere(const ConsolidationGroup& group) {
  Collection::PutBatch batch(order_.into);
  ENGRAM_TRY(batch.add(work_->key_of(group.prototype.kept), work_->vector_of(group)));
  constexpr double kLeast = 1e-100;
  StrengthGain gain = {.gain = std::clamp(strength_of(group), kLeast, 1 / kLeast)};
  gain.adds = order_.params.replay.draws > 0;
  if (order_.into->spec().decay.has_time()) gain.at_ms = order_.params.at_ms;
  const std::string_view kept = work_->attributes_of(group.prototype.kept);
  batch.commit(
      [self = shared_from_this()](const Result<std::size_t>& added) {
        self->end_write(added ? Status() : tl::unexpected(added.error()));
      },
      gain, kept.empty() ? GivenAttributes() : GivenAttributes(kept));
  return {};
}

void ConsolidationRun::seal() {
  if (store_.persistence() != nullptr) lsn_ = std::max(lsn_, store_.persistence()->seal());
}

void ConsolidationRun::end_write(const Status& status) {
  if (!status && status_) status_ = status;
  --under_way_;
  store_.gate().leave();
  if (begun_ < batch_.size() && status_) return write();
  end_batch_if_written();
}

void ConsolidationRun::end_batch_if_written() {
  const bool is_written = (begun_ == batch_.size() || !status_) && under_way_ == 0 && !is_waiting_;
  if (!is_written || batch_.empty()) return;
  batch_ = {};
  if (!status_) return fail_with(status_.error());
  next();
}

void ConsolidationRun::fail_with(Error error) {
  if (written_ > 0) error.message += ", after " + std::to_string(written_) + " groups were written";
  caller_.ended(shared_from_this(), tl::unexpected(std::move(error)), lsn_);
}

}  // namespace engram
