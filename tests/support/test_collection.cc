// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_collection.h"

#include <algorithm>

#include "core/assert.h"
#include "core/hash.h"

namespace engram::test {
namespace {

constexpr std::uint64_t kFirstInsertMs = 1'700'000'000'000;  // any time: nothing reads a clock

/// That a part did what the test takes for granted.
template <class T>
void must(const Result<T>& result) {
  ENGRAM_ASSERT(result.has_value());
}

}  // namespace

TestCollection::TestCollection(const Primitive& primitive, Metric metric, std::size_t dim,
                               std::vector<OptionText> options)
    : spec_{.dim = dim,
            .metric = metric,
            .primitive = &primitive,
            .options = Options::parse(primitive.create_options, options).value()},
      made_(engram::make_index(spec_).value()) {}

std::unique_ptr<Index> TestCollection::make_index() const {
  return spec_.primitive->create({*made_.store, *made_.kernel}, spec_.options).value();
}

Slot TestCollection::add(std::span<const float> vector) {
  const Slot slot = made_.store->allocate().value();
  made_.store->write(slot, vector);
  ++inserts_;
  must(made_.index->insert({.slot = slot,
                            .identity = mix(inserts_ - 1),
                            .sequence = inserts_,
                            .unix_ms = static_cast<std::int64_t>(kFirstInsertMs + inserts_)},
                           scratch_));
  held_.insert(slot);
  return slot;
}

void TestCollection::add_all(const Vectors& vectors) {
  for (std::size_t i = 0; i < vectors.count(); ++i) add(vectors[i]);
}

void TestCollection::erase(Slot slot) {
  made_.index->erase(slot, scratch_);
  held_.erase(slot);
  if (primitive().traits.deferred_reclaim) {
    erased_.push_back(slot);
  } else {
    made_.store->release(slot);
  }
}

void TestCollection::reclaim() {
  if (erased_.empty()) return;
  must(made_.index->reclaim(erased_, scratch_));
  for (const Slot slot : erased_) made_.store->release(slot);
  erased_.clear();
}

std::unique_ptr<Saved> TestCollection::save() {
  auto saved = save_items();
  save_structure(*saved);
  save_rows(*saved);
  return saved;
}

std::unique_ptr<Saved> TestCollection::save_items() const {
  auto saved = std::make_unique<Saved>();
  for (const Slot slot : held_) must(saved->items.insert(slot));
  return saved;
}

void TestCollection::save_structure(Saved& saved) const {
  MemorySectionWriter writer(saved.index);
  must(made_.index->save(writer, saved.items));
}

void TestCollection::save_rows(Saved& saved) const {
  for (Slot slot = 0; slot < made_.store->slot_end(); ++slot) must(saved.stored.insert(slot));
  made_.store->for_each_free([&](Slot slot) { saved.stored.erase(slot); });
  MemorySectionWriter writer(saved.store);
  must(made_.store->save(writer, saved.stored));
}

Status TestCollection::restore(const Saved& saved) {
  made_ = engram::make_index(spec_).value();
  held_.clear();
  erased_.clear();
  MemorySectionReader rows(saved.store);
  MemorySectionReader structure(saved.index);
  ENGRAM_TRY(made_.store->load(rows, saved.stored));
  ENGRAM_TRY(made_.index->load(structure, saved.items));
  saved.stored.for_each(0, Slot{kMaxSlots}, [&](Slot slot) {
    if (saved.items.contains(slot)) {
      held_.insert(slot);
    } else if (primitive().traits.deferred_reclaim) {
      erased_.push_back(slot);
    } else {
      made_.store->release(slot);
    }
  });
  return {};
}

std::vector<Hit> TestCollection::search(std::span<const float> query, SearchParams params) {
  std::vector<Hit> hits;
  must(made_.index->search(prepare(query), params, scratch_, hits));
  return hits;
}

Recall TestCollection::recall_from(const Cue& cue, const RecallParams& params) {
  Recall recall;
  must(made_.index->recaller()->recall(cue, params, scratch_, recall));
  return recall;
}

Recall TestCollection::recall_from(std::span<const float> cue,
                                   const std::vector<OptionText>& options) {
  const Options parsed = Options::parse(primitive().recall_options, options).value();
  return recall_from({.vector = cue}, {.options = &parsed});
}

double TestCollection::energy(std::span<const float> state, const RecallParams& params) {
  return made_.index->recaller()->energy(state, params, scratch_).value();
}

Tuning TestCollection::tune(std::size_t sample) {
  Recaller& recaller = *made_.index->recaller();
  const auto survey = recaller.survey({.sample = sample}).value();
  while (survey->step(scratch_)) {
  }
  const Tuning tuning = survey->tuning().value();
  recaller.adopt(tuning);
  return tuning;
}

std::vector<Hit> TestCollection::expected(std::span<const float> query, std::size_t k) {
  const Bound bound(kernel(), prepare(query), *made_.store);
  std::vector<Hit> hits;
  for (const Slot slot : held_) hits.push_back({bound.score(slot), slot});
  std::sort(hits.begin(), hits.end());
  hits.resize(std::min(k, hits.size()));
  return hits;
}

double TestCollection::recall(const Vectors& queries, SearchParams params) {
  double sum = 0;
  for (std::size_t i = 0; i < queries.count(); ++i) {
    sum += recall_of(search(queries[i], params), expected(queries[i], params.k));
  }
  return sum / static_cast<double>(queries.count());
}

double recall_of(std::span<const Hit> hits, std::span<const Hit> truth) {
  if (truth.empty()) return 1;
  std::size_t found = 0;
  for (const Hit& hit : truth) found += std::find(hits.begin(), hits.end(), hit) != hits.end();
  return static_cast<double>(found) / static_cast<double>(truth.size());
}

}  // namespace engram::test
