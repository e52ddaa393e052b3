// SPDX-License-Identifier: Apache-2.0
#include "server/requests/vector_set_members.h"

#include <tsl/robin_set.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/hash.h"
#include "server/requests/answer_size.h"
#include "server/requests/similarity.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

/// What a step looks at: a millisecond or so; some, where keys are compared.
constexpr std::size_t kStep = std::size_t{1} << 14;

using Keys = std::vector<std::string_view>;

/// Elements at random, on their way.
class Sample {
 public:
  Sample(const SampleRequest& request, Responder<Keys> responder)
      : request_(request), responder_(std::move(responder)) {}

  /// On a worker. Whether there is more to draw.
  bool step(const ReadView& view, const SlotSet& items) {
    if (!begun_) begin(items);
    for (std::size_t i = 0; i < kStep && keys_.size() < wanted_; ++i) draw(view, items);
    if (keys_.size() < wanted_) return true;
    answer();
    return false;
  }
  void finish() const { responder_.finish(0); }

 private:
  /// Draws from a list where a slot at random would seldom be a new item.
  void begin(const SlotSet& items) {
    constexpr std::size_t kSparse = 16;
    begun_ = true;
    const std::size_t size = items.size();
    wanted_ = size == 0 ? 0 : request_.repeats ? request_.count : std::min(request_.count, size);
    end_ = items.end();
    const bool most = !request_.repeats && wanted_ > size / 2;
    if (wanted_ > 0 && (most || end_ / kSparse > size)) items.list(listed_);
    keys_.reserve(wanted_);
  }

  std::size_t below(std::size_t end) {
    return static_cast<std::size_t>(mix(request_.seed + drawn_++) % end);
  }

  void draw(const ReadView& view, const SlotSet& items) {
    if (listed_.empty()) {
      const auto slot = static_cast<Slot>(below(end_));
      if (!items.contains(slot)) return;
      if (!request_.repeats && !met_.insert(slot).second) return;
      keys_.push_back(view.key_of(slot));
    } else if (request_.repeats) {
      keys_.push_back(view.key_of(listed_[below(listed_.size())]));
    } else {
      const std::size_t at = keys_.size();
      std::swap(listed_[at], listed_[at + below(listed_.size() - at)]);
      keys_.push_back(view.key_of(listed_[at]));
    }
  }

  void answer() const {
    const Status sound = request_.index.check_soundness();
    sound ? responder_.take(keys_) : responder_.take(tl::unexpected(sound.error()));
  }

  const SampleRequest request_;
  const Responder<Keys> responder_;
  bool begun_ = false;
  std::size_t wanted_ = 0;
  Slot end_ = 0;
  std::uint64_t drawn_ = 0;
  std::vector<Slot> listed_;  // those not drawn yet stand behind those that were
  tsl::robin_set<Slot> met_;
  Keys keys_;
};

/// Elements between two, on their way: each step sorts those that it finds, and then others merge
/// what the steps have found.
class Range {
 public:
  Range(RangeRequest request, Responder<RangeAnswer> responder)
      : request_(std::move(request)), responder_(std::move(responder)) {}

  /// On a worker. Whether there is more to do.
  bool step(const ReadView& view, const SlotSet& items) {
    if (next_ < items.end()) {
      find(view, items);
      return true;
    }
    if (!begun_) {
      if (const Status begun = begin(); !begun) {
        responder_.take(tl::unexpected(begun.error()));
        return false;
      }
    }
    for (std::size_t i = 0; i < kStep && items_.size() < wanted_; ++i) take_least();
    if (items_.size() < wanted_) return true;
    const Status sound = request_.index.check_soundness();
    sound ? responder_.take(RangeAnswer{items_, &view})
          : responder_.take(tl::unexpected(sound.error()));
    return false;
  }
  void finish() const { responder_.finish(0); }

 private:
  /// Sorted; what is before `next` is taken.
  struct Run {
    std::vector<RangeItem> items;
    std::size_t next = 0;
  };

  [[nodiscard]] bool is_between(std::string_view key) const {
    if (request_.from) {
      const int order = key.compare(*request_.from);
      if (order < 0 || (order == 0 && request_.without_from)) return false;
    }
    if (!request_.to) return true;
    const int order = key.compare(*request_.to);
    return order < 0 || (order == 0 && !request_.without_to);
  }

  void find(const ReadView& view, const SlotSet& items) {
    const Slot end = std::min(items.end() - next_, static_cast<Slot>(kStep)) + next_;
    Run run;
    items.for_each(next_, end, [&](Slot slot) {
      const std::string_view key = view.key_of(slot);
      if (is_between(key)) run.items.push_back({key, slot});
    });
    next_ = end;
    found_ += run.items.size();
    if (!check_result_count(std::min(found_, request_.limit.value_or(found_)))) {
      next_ = items.end();  // which begin() refuses
      return;
    }
    const std::size_t kept = std::min(run.items.size(), request_.limit.value_or(run.items.size()));
    const auto stop = run.items.begin() + static_cast<std::ptrdiff_t>(kept);
    std::partial_sort(run.items.begin(), stop, run.items.end(),
                      [](const RangeItem& a, const RangeItem& b) { return a.key < b.key; });
    run.items.resize(kept);
    if (kept > 0) runs_.push_back(std::move(run));
  }

  Status begin() {
    begun_ = true;
    wanted_ = std::min(found_, request_.limit.value_or(found_));
    ENGRAM_TRY(check_result_count(wanted_));
    std::make_heap(runs_.begin(), runs_.end(), is_later);
    items_.reserve(wanted_);
    return {};
  }

  void take_least() {
    std::pop_heap(runs_.begin(), runs_.end(), is_later);
    Run& run = runs_.back();
    items_.push_back(run.items[run.next++]);
    if (run.next == run.items.size()) {
      runs_.pop_back();
    } else {
      std::push_heap(runs_.begin(), runs_.end(), is_later);
    }
  }

  static bool is_later(const Run& a, const Run& b) {
    return a.items[a.next].key > b.items[b.next].key;
  }

  const RangeRequest request_;
  const Responder<RangeAnswer> responder_;
  Slot next_ = 0;  // to look at
  std::size_t found_ = 0;
  std::vector<Run> runs_;  // then a heap with the least key on top
  bool begun_ = false;
  std::size_t wanted_ = 0;
  std::vector<RangeItem> items_;
};

/// Runs the steps of a Sample or a Range.
template <class Run, class Answer>
void visit(const IndexRef& index, const std::shared_ptr<Run>& run,
           const Responder<Answer>& responder) {
  const Status begun =
      index.collection->visit_items([run](const ReadView& view, const SlotSet& items,
                                          Scratch&) { return run->step(view, items); },
                                    [run] { run->finish(); });
  if (!begun) responder.refuse(begun.error());
}

struct LinksRun {
  IndexRef index;
  std::string key;
  Slot slot;
  std::vector<float> vector;
  std::int64_t at_ms;
  Responder<std::optional<Links>> responder;
};

/// Of an index without a graph: the nearest, as many as a list of links has places.
Result<Links> nearest(const LinksRun& run, const ReadView& view, Scratch& scratch) {
  constexpr std::size_t kMost = 32;
  const auto found = view.search(run.vector, {.k = kMost + 1}, run.at_ms, scratch, {.raw = true});
  if (!found) return tl::unexpected(found.error());
  Links links(1);
  for (const Neighbor& neighbor : found->front()) {
    if (neighbor.key == run.key || links[0].size() == kMost) continue;
    links[0].push_back({neighbor.key, similarity(view.spec().metric, neighbor.raw)});
  }
  return links;
}

/// Of links only those to elements: an overwritten one may have two nodes for a while.
Result<Links> find_links(const LinksRun& run, const ReadView& view, const SlotSet& items,
                         Scratch& scratch) {
  auto levels = view.index().links(run.slot);
  for (std::vector<Slot>& level : levels) {
    std::erase_if(level, [&](Slot slot) { return !items.contains(slot) || slot == run.slot; });
  }
  if (levels.empty()) return nearest(run, view, scratch);
  Links links;
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const std::vector<float> distances = view.distances(run.vector, *level);
    std::vector<Link>& there = links.emplace_back();
    for (std::size_t i = 0; i < distances.size(); ++i) {
      there.push_back({view.key_of((*level)[i]), similarity(view.spec().metric, distances[i])});
    }
  }
  return links;
}

}  // namespace

void start(Store&, const SampleRequest& request, const Responder<Keys>& responder) {
  const std::size_t size = request.index.collection->size();
  const std::size_t results = request.repeats ? request.count : std::min(request.count, size);
  if (const Status checked = check_result_count(results); !checked) {
    return responder.refuse(checked.error());
  }
  visit(request.index, std::make_shared<Sample>(request, responder), responder);
}

void start(Store&, const RangeRequest& request, const Responder<RangeAnswer>& responder) {
  visit(request.index, std::make_shared<Range>(request, responder), responder);
}

void start(Store& store, const LinksRequest& request, Responder<std::optional<Links>> responder) {
  Collection& collection = *request.index.collection;
  auto vector = collection.get(request.key);
  if (!vector) {
    responder.take(std::optional<Links>());
    return responder.finish(0);
  }
  const auto run = std::make_shared<LinksRun>(
      LinksRun{request.index, std::string(request.key), collection.slot_of(request.key),
               std::move(*vector), time_of_read(store, collection), std::move(responder)});
  const Status begun = collection.visit_items(
      [run](const ReadView& view, const SlotSet& items, Scratch& scratch) {
        auto links = find_links(*run, view, items, scratch);
        const Status sound = run->index.check_soundness();
        if (!links || !sound) {
          run->responder.take(tl::unexpected(links ? sound.error() : links.error()));
        } else {
          run->responder.take(std::optional<Links>(std::move(*links)));
        }
        return false;
      },
      [run] { run->responder.finish(0); });
  if (!begun) run->responder.refuse(begun.error());
}

}  // namespace engram
