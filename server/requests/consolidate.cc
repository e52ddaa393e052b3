// SPDX-License-Identifier: Apache-2.0
#include "server/requests/consolidate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "server/engine/persistence.h"
#include "server/requests/answer_size.h"
#include "server/requests/not_writable.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

constexpr std::size_t kMostAtOnce = 64;    // members of a group, in one turn of the loop
constexpr std::size_t kBetweenLooks = 16;  // at the clock

bool has_time(const IndexRef& index) {
  return index.spec().decay.has_time();
}

Status check(const ConsolidateRequest& request) {
  const IndexRef& index = request.index;
  if (request.at_ms && !has_time(index) && !(request.into && has_time(*request.into))) {
    return fail(ErrorCode::kInvalidArgument, "strengths of index '" + shown(index.name) +
                                                 "' do not change with time, so there is no AT");
  }
  if (!request.into && request.params.replay.draws > 0) {
    return fail(ErrorCode::kInvalidArgument,
                "REPLAY tells another index what this one is reminded of: it needs INTO");
  }
  if (!request.into) return {};
  const IndexRef& into = *request.into;
  if (into.collection == index.collection) {
    return fail(ErrorCode::kInvalidArgument,
                "INTO names the index itself: without INTO its groups become one item each");
  }
  if (into.spec().dim != index.spec().dim || into.spec().metric != index.spec().metric) {
    return fail(ErrorCode::kInvalidArgument, "index '" + shown(into.name) +
                                                 "' has another dimension or metric than '" +
                                                 shown(index.name) + "'");
  }
  const Decay& decay = into.spec().decay;
  const bool needs_time = decay.has_time() && decay.clock == DecayClock::kLogical;
  if (!needs_time || request.at_ms || has_time(index)) return {};
  return fail(ErrorCode::kInvalidArgument, "index '" + shown(into.name) +
                                               "' has CLOCK logical: a write must say AT "
                                               "milliseconds");
}

/// A count where there are no strengths, or what counts is how often an item was met.
double strength_of(const ConsolidateRequest& request, double log_strength) {
  const bool is_count =
      request.params.replay.draws > 0 || !request.index.collection->has_strengths();
  return is_count ? std::round(std::exp(log_strength)) : std::exp(log_strength);
}

bool holds(Keyspace& keyspace, std::string_view name, const Collection& collection) {
  const Value* const value = keyspace.peek(name);
  const auto* const held =
      value == nullptr ? nullptr : std::get_if<std::shared_ptr<Collection>>(value);
  return held != nullptr && held->get() == &collection;
}

/// Under its name, or another that it was given since.
bool is_kept(Store& store, const IndexRef& index) {
  Keyspace& keyspace = store.keyspace();
  if (holds(keyspace, index.name, *index.collection)) return true;
  const auto names = keyspace.collection_names();  // a look may remove what has expired
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return holds(keyspace, name, *index.collection);
  });
}

/// A consolidation on its way.
class ConsolidateRun : public std::enable_shared_from_this<ConsolidateRun> {
 public:
  ConsolidateRun(Store& store, ConsolidateRequest request, Responder<ConsolidateAnswer> responder,
                 std::shared_ptr<Consolidation> work)
      : store_(store),
        request_(std::move(request)),
        ms_(request_.params.at_ms),
        responder_(std::move(responder)),
        work_(std::move(work)) {}

  void next() {
    work_->make_next(
        {.check = [self = shared_from_this()] { return self->check_kept(); },
         .ready = [self = shared_from_this()](const auto& groups) { self->take(groups); }});
  }

 private:
  void take(const Result<std::span<ConsolidationGroup>>& groups);
  Status check_state();
  Status check_kept();
  void write();
  bool write_some(LoopSlices::Clock::time_point until);
  void write_one(ConsolidationGroup& group);
  Status start_write(ConsolidationGroup& group);
  Status check_writable();
  struct Large;
  using Time = LoopSlices::Clock::time_point;
  using LargeWork = bool (ConsolidateRun::*)(const std::shared_ptr<Large>& large, Time until);
  void add_slice(const std::shared_ptr<Large>& large, LargeWork work);
  void begin_large(ConsolidationGroup& group);
  bool renew_large(const std::shared_ptr<Large>& large, Time until);
  void put_large(const std::shared_ptr<Large>& large);
  bool erase_large(const std::shared_ptr<Large>& large, Time until);
  void close_large(const std::shared_ptr<Large>& large, const Status& status);
  void end_large_part(const std::shared_ptr<Large>& large, const Status& status);
  Status put_elsewhere(const ConsolidationGroup& group);
  void end_write(const Status& status);
  void end_batch_if_written();
  void seal();
  void fail_with(Error error);
  void answer();
  [[nodiscard]] ConsolidateAnswer make_answer() const;
  [[nodiscard]] std::optional<LandscapeBounds> bounds() const;

  Store& store_;
  const ConsolidateRequest request_;
  const std::int64_t ms_;
  const Responder<ConsolidateAnswer> responder_;
  const std::shared_ptr<Consolidation> work_;
  std::span<ConsolidationGroup> batch_;  // being written
  std::size_t begun_ = 0;                // of batch_
  std::size_t under_way_ = 0;
  bool is_waiting_ = false;  // for a turn to write more
  bool is_first_ = true;
  std::size_t written_ = 0;
  Status status_;
  Lsn lsn_ = 0;
};

/// A group that is being written over several turns, as a transaction would.
struct ConsolidateRun::Large {
  ConsolidationGroup& group;
  Consolidation::Renewal renewal = {};
  std::size_t next = 0;        // of the members, to erase
  std::size_t unfinished = 1;  // writes, and this itself
  Status status = {};
};

void ConsolidateRun::take(const Result<std::span<ConsolidationGroup>>& groups) {
  if (!groups) return fail_with(groups.error());
  if (const Status sound = check_state(); !sound) return fail_with(sound.error());
  if (groups->empty()) return answer();
  if (request_.is_dry) return next();
  batch_ = *groups;
  begun_ = 0;
  write();
}

/// Before anything is written, and now and then: nothing may depend on damage, and a group that is
/// written has to be told of in the end.
Status ConsolidateRun::check_state() {
  ENGRAM_TRY(request_.index.check_soundness());
  if (std::exchange(is_first_, false)) {
    constexpr std::size_t kFraming = 24;  // of a key
    constexpr std::size_t kGroup = 256;
    ENGRAM_TRY(check_answer_bytes(
        2 * work_->key_bytes() + kFraming * work_->members() + kGroup * work_->groups().size(),
        "LIMIT"));
  }
  return check_kept();
}

/// Nothing comes of the work where an index has gone.
Status ConsolidateRun::check_kept() {
  for (const IndexRef* const index : {&request_.index, request_.into ? &*request_.into : nullptr}) {
    if (index == nullptr || is_kept(store_, *index)) continue;
    return fail(ErrorCode::kNotFound,
                "index '" + shown(index->name) + "' was dropped while it was consolidated");
  }
  return {};
}

/// Groups are written in the loop's spare time.
void ConsolidateRun::write() {
  if (std::exchange(is_waiting_, true)) return;
  store_.slices().add([self = shared_from_this()](auto until) { return self->write_some(until); });
  store_.run_soon([] {});  // the loop may be asleep
}

bool ConsolidateRun::write_some(LoopSlices::Clock::time_point until) {
  const bool one_by_one = request_.index.spec().primitive->traits.order_dependent;
  while (begun_ < batch_.size() && status_) {
    if (store_.gate().is_closed()) {
      is_waiting_ = false;
      store_.gate().when_open([self = shared_from_this()] { self->write(); });
      return true;
    }
    if (one_by_one && under_way_ > 0) break;
    ConsolidationGroup& group = batch_[begun_++];
    if (!request_.into && group.members.size() > kMostAtOnce) {
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

void ConsolidateRun::write_one(ConsolidationGroup& group) {
  if (!request_.into && group.members.size() == 1) return;  // it is one already
  Consolidation::Renewal renewal;
  if (!request_.into) work_->renew(group, renewal, group.members.size());
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

Status ConsolidateRun::check_writable() {
  const Status health = store_.persistence() == nullptr ? Status() : store_.persistence()->health();
  if (health) return {};
  return tl::unexpected(not_writable(health.error()));
}

void ConsolidateRun::add_slice(const std::shared_ptr<Large>& large, LargeWork work) {
  store_.slices().add([self = shared_from_this(), large, work](auto until) {
    return (self.get()->*work)(large, until);
  });
  store_.run_soon([] {});  // the loop may be asleep
}

/// A large group is written in slices, between which reads pass and other writes wait: what stands
/// for it first, and when that is there the others go.
void ConsolidateRun::begin_large(ConsolidationGroup& group) {
  ++under_way_;
  store_.gate().close();
  store_.gate().enter();
  store_.begin_transaction();
  add_slice(std::make_shared<Large>(Large{group}), &ConsolidateRun::renew_large);
}

bool ConsolidateRun::renew_large(const std::shared_ptr<Large>& large, Time until) {
  while (work_->renew(large->group, large->renewal, kMostAtOnce)) {
    if (LoopSlices::Clock::now() >= until) return false;
  }
  large->group.is_dropped = !large->renewal.is_unchanged;
  const Status writable = check_writable();
  writable && !large->group.is_dropped ? put_large(large) : close_large(large, writable);
  return true;
}

void ConsolidateRun::put_large(const std::shared_ptr<Large>& large) {
  const ConsolidationGroup& group = large->group;
  const Merge one = {.key = work_->key_of(group.prototype.kept),
                     .vector = group.prototype.vector,
                     .trace = group.trace,
                     .ms = ms_};
  const Status begun = request_.index.collection->merge(
      one, [self = shared_from_this(), large](const Status& status) {
        if (!status) return self->close_large(large, status);
        self->add_slice(large, &ConsolidateRun::erase_large);
      });
  if (!begun) close_large(large, begun);
}

bool ConsolidateRun::erase_large(const std::shared_ptr<Large>& large, Time until) {
  const ConsolidationGroup& group = large->group;
  while (large->next < group.members.size()) {
    const std::uint32_t item = group.members[large->next++];
    if (item == group.prototype.kept) continue;
    ++large->unfinished;
    request_.index.collection->erase(work_->key_of(item), [self = shared_from_this(), large](bool) {
      self->end_large_part(large, {});
    });
    if (large->next % kBetweenLooks == 0 && LoopSlices::Clock::now() >= until) return false;
  }
  ++written_;
  close_large(large, {});
  return true;
}

/// All was recorded, or nothing but what came of a failure: others may write again. Some of the
/// erasures are still to be carried out.
void ConsolidateRun::close_large(const std::shared_ptr<Large>& large, const Status& status) {
  lsn_ = std::max(lsn_, store_.end_transaction());
  store_.gate().open();
  end_large_part(large, status);
}

void ConsolidateRun::end_large_part(const std::shared_ptr<Large>& large, const Status& status) {
  if (!status) large->status = status;
  if (--large->unfinished > 0) return;
  large->group.prototype.vector = {};
  end_write(large->status);
}

/// What is recorded is one frame.
Status ConsolidateRun::start_write(ConsolidationGroup& group) {
  seal();
  if (request_.into) {
    ENGRAM_TRY(put_elsewhere(group));
  } else {
    const std::uint32_t kept = group.prototype.kept;
    Merge merge = {.key = work_->key_of(kept),
                   .vector = group.prototype.vector,
                   .trace = group.trace,
                   .ms = ms_};
    for (const std::uint32_t item : group.members) {
      if (item != kept) merge.others.push_back(work_->key_of(item));
    }
    ENGRAM_TRY(request_.index.collection->merge(
        merge, [self = shared_from_this()](const Status& status) { self->end_write(status); }));
  }
  ++written_;
  seal();
  return {};
}

Status ConsolidateRun::put_elsewhere(const ConsolidationGroup& group) {
  const IndexRef& into = *request_.into;
  Collection::PutBatch batch(into.collection);
  ENGRAM_TRY(batch.add(work_->key_of(group.prototype.kept), work_->vector_of(group)));
  constexpr double kLeast = 1e-100;
  StrengthGain gain = {
      .gain = std::clamp(strength_of(request_, group.log_strength), kLeast, 1 / kLeast)};
  gain.adds = request_.params.replay.draws > 0;
  if (has_time(into)) gain.at_ms = ms_;
  const std::string_view kept = work_->attributes_of(group.prototype.kept);
  batch.commit(
      [self = shared_from_this()](const Result<std::size_t>& added) {
        self->end_write(added ? Status() : tl::unexpected(added.error()));
      },
      gain, kept.empty() ? GivenAttributes() : GivenAttributes(kept));
  return {};
}

void ConsolidateRun::seal() {
  if (store_.persistence() != nullptr) lsn_ = std::max(lsn_, store_.persistence()->seal());
}

void ConsolidateRun::end_write(const Status& status) {
  if (!status && status_) status_ = status;
  --under_way_;
  store_.gate().leave();
  if (begun_ < batch_.size() && status_) return write();
  end_batch_if_written();
}

void ConsolidateRun::end_batch_if_written() {
  const bool is_written = (begun_ == batch_.size() || !status_) && under_way_ == 0 && !is_waiting_;
  if (!is_written || batch_.empty()) return;
  batch_ = {};
  if (!status_) return fail_with(status_.error());
  next();
}

void ConsolidateRun::fail_with(Error error) {
  if (written_ > 0) error.message += ", after " + std::to_string(written_) + " groups were written";
  responder_.take(tl::unexpected(error));
  work_->end();
  responder_.finish(lsn_);
}

/// Rendered on a worker: there may be many keys.
void ConsolidateRun::answer() {
  const auto self = shared_from_this();
  request_.index.collection->read(
      [self](const ReadView&, Scratch&) { self->responder_.take(self->make_answer()); },
      [self] {
        self->work_->end();
        self->responder_.finish(self->lsn_);
      });
}

ConsolidateAnswer ConsolidateRun::make_answer() const {
  ConsolidateAnswer answer = {.items = work_->items(),
                              .members = 0,
                              .dropped = 0,
                              .beta = work_->beta(),
                              .bounds = bounds(),
                              .groups = {}};
  for (const ConsolidationGroup& group : work_->groups()) {
    if (group.is_dropped) {
      ++answer.dropped;
      continue;
    }
    answer.members += group.members.size();
    ConsolidatedGroup told = {.key = work_->key_of(group.prototype.kept),
                              .strength = strength_of(request_, group.log_strength),
                              .radius = group.prototype.radius,
                              .variance = group.prototype.variance,
                              .members = {}};
    for (const std::uint32_t item : group.members) told.members.push_back(work_->key_of(item));
    answer.groups.push_back(std::move(told));
  }
  return answer;
}

/// Jensen's inequality and Hoeffding's lemma for each group; a sum of groups is within the worst of
/// them. Under cosine q has length one, and to stretch a mean of length m to one moves its term by
/// 1 - m at the most.
std::optional<LandscapeBounds> ConsolidateRun::bounds() const {
  if (request_.params.keep == Keep::kMedoid) return std::nullopt;
  LandscapeBounds bounds = {0, 0};
  for (const ConsolidationGroup& group : work_->groups()) {
    if (group.is_dropped) continue;
    const Prototype& prototype = group.prototype;
    const double spread = work_->beta() * prototype.radius * prototype.radius / 2;
    double lower = 0;
    double upper = spread;
    if (request_.index.spec().metric == Metric::kL2) lower = -prototype.variance / 2;
    if (request_.index.spec().metric == Metric::kCosine && prototype.variance > 0) {
      lower = prototype.mean_length - 1;
      upper = spread + (1 - prototype.mean_length);
    }
    bounds.lower = std::min(bounds.lower, lower);
    bounds.upper = std::max(bounds.upper, upper);
  }
  return bounds;
}

}  // namespace

void start(Store& store, ConsolidateRequest request, Responder<ConsolidateAnswer> responder) {
  if (const Status checked = check(request); !checked) return responder.refuse(checked.error());
  // Where only the other index has a time, it is the wall's.
  request.params.at_ms = has_time(request.index) || request.at_ms
                             ? time_of_read(store, *request.index.collection, request.at_ms)
                             : store.keyspace().now_ms();
  auto work = request.index.collection->consolidate(request.params);
  if (!work) return responder.refuse(work.error());
  std::make_shared<ConsolidateRun>(store, std::move(request), std::move(responder),
                                   std::move(*work))
      ->next();
}

}  // namespace engram
