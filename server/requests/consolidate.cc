// SPDX-License-Identifier: Apache-2.0
#include "server/requests/consolidate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "core/text.h"
#include "server/engine/persistence.h"
#include "server/requests/answer_size.h"
#include "server/requests/arguments.h"
#include "server/requests/not_writable.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

constexpr std::size_t kMostItems = kMaxSlots;
constexpr CountArgument kClusters = {"K", 1, kMostItems};
constexpr CountArgument kDrawSeed = {"SEED", 0, std::numeric_limits<std::uint64_t>::max()};
constexpr CountArgument kReplays = {"REPLAY", 1, 1'000'000};  // drawn in one step
constexpr CountArgument kLeastMembers = {"MINSIZE", 1, kMostItems};
constexpr CountArgument kMostGroups = {"LIMIT", 1, std::numeric_limits<std::size_t>::max()};

template <std::size_t N>
Result<std::size_t> read_choice(std::string_view option, const std::string_view (&names)[N],
                                std::string_view text) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (equal_ignoring_case(text, names[i])) return i;
    known += std::string(i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(names[i]);
  }
  return fail(ErrorCode::kInvalidArgument,
              std::string(option) + " must be " + known + ", got '" + shown(text) + "'");
}

Status read_radius(std::string_view text, ConsolidateRequest& request) {
  const auto radius = parse_number<double>(text);
  if (!radius || !(*radius >= 0) || !std::isfinite(*radius)) {
    return fail(ErrorCode::kInvalidArgument,
                "RADIUS must be a number, 0 or more, got '" + shown(text) + "'");
  }
  request.params.grouping.radius = *radius;
  return {};
}

/// What decides the groups.
Status read_grouping(std::vector<OptionText>& options, ConsolidateRequest& request) {
  GroupingParams& grouping = request.params.grouping;
  const auto method = take_option(options, "METHOD");
  if (!method) return tl::unexpected(method.error());
  if (*method) {
    const auto choice = read_choice("METHOD", kGroupMethodNames, **method);
    if (!choice) return tl::unexpected(choice.error());
    grouping.method = static_cast<GroupMethod>(*choice);
  }
  const auto radius = take_option(options, "RADIUS");
  if (!radius) return tl::unexpected(radius.error());
  if (*radius) ENGRAM_TRY(read_radius(**radius, request));
  const auto clusters = take_count(options, kClusters, 0);
  if (!clusters) return tl::unexpected(clusters.error());
  grouping.clusters = *clusters;
  const auto replays = take_count(options, kReplays, 0);
  if (!replays) return tl::unexpected(replays.error());
  request.params.replays = *replays;
  const auto seed = take_count(options, kDrawSeed, grouping.seed);
  if (!seed) return tl::unexpected(seed.error());
  const bool has_seed = *seed != grouping.seed;
  grouping.seed = *seed;
  const bool has_clusters = grouping.clusters != 0;
  if (has_clusters && grouping.method != GroupMethod::kKMeans) {
    return fail(ErrorCode::kInvalidArgument, "K says how many groups: it needs METHOD kmeans");
  }
  if (has_seed && !has_clusters && *replays == 0) {
    return fail(
        ErrorCode::kInvalidArgument,
        "SEED draws what the K groups begin with, and what is replayed: it needs K or REPLAY");
  }
  if (has_clusters == radius->has_value()) {
    return fail(ErrorCode::kInvalidArgument,
                has_clusters
                    ? "K and RADIUS each say how many groups there are: give one of them"
                    : "RADIUS is missing: how far from each other items of a group may be");
  }
  return {};
}

Status read_into(Store& store, std::vector<OptionText>& options, ConsolidateRequest& request) {
  const auto name = take_option(options, "INTO");
  if (!name) return tl::unexpected(name.error());
  if (!*name) return {};
  auto into = find_index(store, **name);
  if (!into) return tl::unexpected(std::move(into.error()));
  request.into = std::move(*into);
  return {};
}

Status read_time(std::vector<OptionText>& options, ConsolidateRequest& request) {
  const auto at = take_option(options, "AT");
  if (!at) return tl::unexpected(at.error());
  if (!*at) return {};
  StrengthRequest asked = {.index = request.index};
  ENGRAM_TRY(read_options({{"AT", **at}}, asked));
  request.at_ms = asked.strength.at_ms;
  return {};
}

bool has_time(const IndexRef& index) {
  return index.spec().decay.has_time();
}

Status check(const ConsolidateRequest& request) {
  const IndexRef& index = request.index;
  if (request.at_ms && !has_time(index) && !(request.into && has_time(*request.into))) {
    return fail(ErrorCode::kInvalidArgument, "strengths of index '" + shown(index.name) +
                                                 "' do not change with time, so there is no AT");
  }
  if (!request.into && request.params.replays > 0) {
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
  const bool is_count = request.params.replays > 0 || !request.index.collection->has_strengths();
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
    write_one(batch_[begun_++]);
    if (LoopSlices::Clock::now() >= until && begun_ < batch_.size()) return false;
  }
  is_waiting_ = false;
  end_batch_if_written();
  return true;
}

void ConsolidateRun::write_one(ConsolidationGroup& group) {
  if (!request_.into && group.members.size() == 1) return;  // it is one already
  if (!request_.into && !work_->renew(group)) {
    group.is_dropped = true;
    return;
  }
  Status begun = store_.persistence() == nullptr ? Status() : store_.persistence()->health();
  if (!begun) begun = tl::unexpected(not_writable(begun.error()));
  ++under_way_;
  store_.gate().enter();
  if (begun) begun = start_write(group);
  if (!begun) end_write(begun);
  group.prototype.vector = {};
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
  gain.adds = request_.params.replays > 0;
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

Status read_options(Store& store, std::vector<OptionText> options, ConsolidateRequest& request) {
  ENGRAM_TRY(read_grouping(options, request));
  const auto keep = take_option(options, "KEEP");
  if (!keep) return tl::unexpected(keep.error());
  if (*keep) {
    constexpr std::string_view kNames[] = {"centroid", "medoid"};
    const auto choice = read_choice("KEEP", kNames, **keep);
    if (!choice) return tl::unexpected(choice.error());
    request.params.keep = static_cast<Keep>(*choice);
  }
  ENGRAM_TRY(read_into(store, options, request));
  const auto least = take_count(options, kLeastMembers, request.params.least_members);
  if (!least) return tl::unexpected(least.error());
  request.params.least_members = *least;
  const auto most = take_count(options, kMostGroups, request.params.most_groups);
  if (!most) return tl::unexpected(most.error());
  request.params.most_groups = *most;
  ENGRAM_TRY(read_time(options, request));
  if (options.empty()) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "unknown option '" + shown(options.front().first) +
          "', known options are RADIUS, METHOD, K, SEED, KEEP, INTO, REPLAY, MINSIZE, AT, LIMIT");
}

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
