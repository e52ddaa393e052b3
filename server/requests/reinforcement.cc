// SPDX-License-Identifier: Apache-2.0
#include "server/requests/reinforcement.h"

#include <algorithm>
#include <variant>

#include "server/requests/keys.h"

namespace engram {
namespace {

constexpr double kLeastShare = 0.05;  // of a state, that soft takes notice of
constexpr double kCompetition = 0.1;  // what of its share a loser loses in strength

}  // namespace

bool reinforces(Store& store, std::string_view name) {
  const Value* const value = store.keyspace().peek(name);
  const auto* const collection =
      value == nullptr ? nullptr : std::get_if<std::shared_ptr<Collection>>(value);
  return collection != nullptr && (*collection)->spec().decay.reinforce != Reinforce::kOff;
}

Reinforce reinforce_rule(const IndexRef& index, const StrengthRead& read) {
  const Reinforce rule = index.spec().decay.reinforce;
  return rule == Reinforce::kOff && read.touch ? Reinforce::kWinner : rule;
}

std::size_t reinforced_support(Reinforce rule) {
  return rule == Reinforce::kSoft ? static_cast<std::size_t>(1 / kLeastShare) : 0;
}

std::vector<Reinforcement> reinforcements(Reinforce rule, double gain, const ReadView& view,
                                          const Recall& recall, std::size_t top) {
  std::vector<Reinforcement> items;
  const auto add = [&](Slot slot, double by, double factor) {
    items.push_back({std::string(view.key_of(slot)), by, factor});
  };
  if (rule == Reinforce::kSoft) {
    for (const Share& share : recall.support) {
      if (share.weight >= kLeastShare) add(share.slot, gain * share.weight, 1);
    }
    return items;
  }
  if (rule == Reinforce::kOff || !recall.attractor) return items;
  add(recall.attractor->slot, gain, 1);
  if (rule != Reinforce::kCompete) return items;
  for (std::size_t i = 0; i < std::min(top, recall.support.size()); ++i) {
    const Share& share = recall.support[i];
    if (share.slot == recall.attractor->slot || !(share.weight > 0)) continue;
    add(share.slot, 0, 1 - kCompetition * share.weight);
  }
  return items;
}

Status reinforce(Store& store, const IndexRef& index, const StrengthRead& read,
                 const std::vector<Reinforcement>& items) {
  std::size_t bytes = 0;
  for (const Reinforcement& item : items) bytes += change_bytes(item.key);
  ENGRAM_TRY(check_room(store.keyspace(), bytes));
  Collection& collection = *index.collection;
  StrengthGain gain = gain_of_read(store, index, read);
  const std::int64_t ms = collection.strengths().time_of(gain);
  for (const Reinforcement& item : items) {
    if (item.gain > 0) {
      const std::string_view key = item.key;
      gain.gain = item.gain;
      collection.touch({&key, 1}, gain);
    } else {
      collection.weaken(item.key, item.factor, ms);
    }
  }
  return {};
}

}  // namespace engram
