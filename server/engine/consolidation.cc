// SPDX-License-Identifier: Apache-2.0
#include "server/engine/consolidation.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/trace_sum.h"
#include "server/engine/within_memory.h"

namespace engram {
namespace {

template <class Item>
bool is_stronger(const Item& a, const Item& b) {
  if (a.log_strength != b.log_strength) return a.log_strength > b.log_strength;
  return a.key < b.key;
}

}  // namespace

Consolidation::Consolidation(const Parts& parts, const ConsolidationParams& params)
    : parts_(parts), params_(params) {}

/// A job that does nothing has its turn after the writes that wait for theirs.
void Consolidation::begin(const Caller& caller) {
  const auto self = shared_from_this();
  parts_.operations.read(
      Lane::kBulk, [](Scratch&) {},
      [self, caller] {
        self->parts_.operations.after_running([self, caller] {
          if (const Status taken = self->take_items(); !taken) {
            return caller.ready(tl::unexpected(taken.error()));
          }
          self->step(caller);
        });
      });
}

Status Consolidation::take_items() {
  auto items = parts_.slots.current_items();
  if (!items) return tl::unexpected(std::move(items.error()));
  current_ = std::move(*items);
  pin_ = parts_.slots.pin_rows();
  return {};
}

void Consolidation::end() {
  if (pin_) parts_.slots.unpin_rows(*pin_);
  has_ended_ = true;
}

void Consolidation::make_next(Caller caller) {
  ready_begin_ = ready_end_;
  if (pin_) return step(caller);
  parts_.operations.when_warm(
      [self = shared_from_this(), caller = std::move(caller)] { self->begin(caller); });
}

void Consolidation::step(const Caller& caller) {
  const auto status = std::make_shared<Status>();
  const auto self = shared_from_this();
  parts_.operations.read(
      Lane::kBulk,
      [self, status](Scratch& scratch) {
        *status = within_memory([&] { return self->advance(scratch); });
      },
      [self, status, caller] {
        if (!*status) return caller.ready(tl::unexpected(status->error()));
        const std::size_t count = self->ready_end_ - self->ready_begin_;
        if (count == 0 && !self->is_over_) {
          const Status checked = caller.check();
          return checked ? self->step(caller) : caller.ready(tl::unexpected(checked.error()));
        }
        caller.ready(std::span(self->groups_).subspan(self->ready_begin_, count));
      });
}

Status Consolidation::advance(Scratch& scratch) {
  if (!items_) return take_stock(scratch);
  if (grouping_ != nullptr) {
    const bool goes_on = grouping_->step();
    done_ = grouping_->progress();
    if (!goes_on) select();
    return {};
  }
  make_some();
  return {};
}

/// The order decides whose groups they are, so it may not depend on slots.
std::vector<Consolidation::Listed> Consolidation::list_items() const {
  std::vector<Listed> listed;
  listed.reserve(current_->size());
  current_->for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    if (params_.spares_pinned && parts_.view.is_pinned(slot)) return;
    const double strength =
        parts_.strengths == nullptr ? 0 : parts_.strengths->log_strength(slot, params_.at_ms);
    listed.push_back({strength, parts_.view.key_of(slot), slot});
  });
  std::sort(listed.begin(), listed.end(), is_stronger<Listed>);
  return listed;
}

/// Which items there are: all, or those that a replay meets.
Status Consolidation::take_stock(Scratch& scratch) {
  if (params_.replay.draws == 0) return gather(list_items());
  if (!replay_) return begin_replay();
  const auto goes_on = replay_->step(scratch);
  if (!goes_on) return tl::unexpected(goes_on.error());
  done_ = replay_->drawn();
  if (*goes_on) return {};
  const std::vector<Listed> met = met_items();
  replay_.reset();
  return gather(met);
}

Status Consolidation::begin_replay() {
  ItemReplay::Items items = {.slots = {}, .log_strengths = {}, .all = *current_};
  for (const Listed& item : list_items()) {
    items.slots.push_back(item.slot);
    items.log_strengths.push_back(item.log_strength);
  }
  auto replay = ItemReplay::create(params_.replay, parts_.view, std::move(items), params_.at_ms);
  if (!replay) return tl::unexpected(std::move(replay.error()));
  replay_.emplace(std::move(*replay));
  end_ = params_.replay.draws;
  return {};
}

std::vector<Consolidation::Listed> Consolidation::met_items() const {
  std::vector<Listed> met;
  for (std::size_t i = 0; i < replay_->slots().size(); ++i) {
    const std::size_t times = replay_->met()[i];
    const Slot slot = replay_->slots()[i];
    if (times == 0) continue;
    met.push_back({std::log(static_cast<double>(times)), parts_.view.key_of(slot), slot});
  }
  std::sort(met.begin(), met.end(), is_stronger<Listed>);
  return met;
}

Status Consolidation::gather(std::span<const Listed> listed) {
  std::vector<Slot> slots;
  std::vector<double> log_weights;
  std::vector<std::uint64_t> identities;
  for (const Listed& item : listed) {
    slots.push_back(item.slot);
    log_weights.push_back(item.log_strength);
    identities.push_back(XXH3_64bits(item.key.data(), item.key.size()));
  }
  items_.emplace(GroupedItems{OrderedRows(parts_.store, std::move(slots)), std::move(log_weights),
                              std::move(identities)});
  beta_ = parts_.view.search_beta();
  const std::string& kernel = parts_.view.spec().kernel_name;
  auto grouping = make_grouping(params_.grouping, *items_, kernel);
  if (!grouping) return tl::unexpected(std::move(grouping.error()));
  auto maker = PrototypeMaker::create(*items_, kernel);
  if (!maker) return tl::unexpected(std::move(maker.error()));
  grouping_ = std::move(*grouping);
  maker_ = std::move(*maker);
  done_ = 0;
  end_ = grouping_->progress_end();
  return {};
}

void Consolidation::select() {
  const auto labels = grouping_->take_groups();
  grouping_.reset();
  for (auto& members : members_of(labels)) {
    if (groups_.size() == params_.most_groups) break;
    if (members.size() < params_.least_members) continue;
    members_ += members.size();
    for (const std::uint32_t item : members) key_bytes_ += key_of(item).size();
    groups_.push_back({.members = std::move(members)});
  }
  is_grouping_ = false;
  done_ = 0;
  end_ = groups_.size();
  is_over_ = groups_.empty();
}

void Consolidation::make_some() {
  constexpr std::size_t kMostRows = 2048;
  const std::size_t most_numbers = (std::size_t{4} << 20) / items_->rows.dim() + 1;
  const std::size_t most = std::min(kMostRows, most_numbers);
  for (std::size_t seen = 0; seen < most && ready_end_ < groups_.size(); ++ready_end_) {
    ConsolidationGroup& group = groups_[ready_end_];
    group.prototype = maker_->make(group.members, params_.keep);
    sum_strengths(group);
    seen += group.members.size();
  }
  done_ = ready_end_;
  is_over_ = ready_end_ == ready_begin_;
}

/// As they are now: touches go on.
void Consolidation::sum_strengths(ConsolidationGroup& group) const {
  Renewal renewal;
  add_strengths(group, renewal, group.members.size());
}

/// Of members from the first on; the sum is whole when all were added.
void Consolidation::add_strengths(ConsolidationGroup& group, Renewal& renewal,
                                  std::size_t most) const {
  const std::size_t end = std::min(group.members.size() - renewal.next, most) + renewal.next;
  for (; renewal.next < end; ++renewal.next) {
    const std::uint32_t item = group.members[renewal.next];
    const bool is_first = renewal.next == 0;
    if (params_.replay.draws > 0) {
      const double met = items_->log_weights[item];
      group.log_strength = is_first ? met : add_logs(group.log_strength, met);
    } else if (parts_.strengths != nullptr) {
      const Trace trace = parts_.strengths->trace(slot_of(item));
      if (is_first) {
        group.trace = trace;
      } else {
        absorb(parts_.strengths->decay(), trace, params_.at_ms, group.trace);
      }
    }
  }
  if (end < group.members.size() || params_.replay.draws > 0) return;
  group.log_strength =
      parts_.strengths == nullptr
          ? std::log(static_cast<double>(group.members.size()))
          : engram::log_strength(parts_.strengths->decay(), group.trace, params_.at_ms);
}

bool Consolidation::renew(ConsolidationGroup& group, Renewal& renewal, std::size_t most) const {
  const auto some = std::span(group.members).subspan(renewal.next);
  renewal.is_unchanged =
      renewal.is_unchanged &&
      std::all_of(some.begin(),
                  some.begin() + static_cast<std::ptrdiff_t>(std::min(some.size(), most)),
                  [this](std::uint32_t item) {
                    return parts_.slots.is_current(slot_of(item)) &&
                           !parts_.key_order.is_written(key_of(item));
                  });
  if (!renewal.is_unchanged) return false;
  add_strengths(group, renewal, most);
  return renewal.next < group.members.size();
}

std::vector<float> Consolidation::vector_of(const ConsolidationGroup& group) const {
  if (!group.prototype.vector.empty()) return group.prototype.vector;
  std::vector<float> vector(parts_.store.dim());
  parts_.store.read(slot_of(group.prototype.kept), vector);
  return vector;
}

}  // namespace engram
