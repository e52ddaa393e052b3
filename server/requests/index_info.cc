// SPDX-License-Identifier: Apache-2.0
#include "server/requests/index_info.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/element.h"
#include "core/text.h"
#include "server/requests/facts.h"

namespace engram {
namespace {

/// What only a worker may look at.
struct IndexFacts {
  std::vector<Fact> index;
  std::vector<Fact> recaller;
  std::size_t index_bytes = 0;
  double search_beta = 0;
};

/// What it forgets by itself, if it does.
void add_upkeep(const Collection& collection, FactList& facts) {
  const Upkeep& rule = collection.spec().decay.upkeep;
  if (!rule.is_on()) return;
  if (rule.merge_radius) {
    facts.add("merge-radius", number_text(*rule.merge_radius));
    facts.add("merged-items", std::to_string(collection.upkeep().merged));
  }
  facts.add("floor", number_text(rule.floor));
  facts.add("budget", rule.budget);
  facts.add("budget-bytes", rule.budget_bytes);
  facts.add("forget-every-ms", std::to_string(rule.every_ms));
  facts.add("forgetting", std::size_t{collection.upkeep().is_forgetting});
  facts.add("forgotten-items", std::to_string(collection.upkeep().forgotten));
}

/// Of its strengths, if it keeps any.
void add_decay(const Collection& collection, double search_beta, FactList& facts) {
  if (!collection.has_strengths()) return;
  const Decay& decay = collection.spec().decay;
  facts.add("decay", std::string(decay_name(decay.policy)));
  if (decay.policy == DecayPolicy::kExp) {
    facts.add("half-life-ms", std::to_string(decay.half_life_ms));
  } else if (decay.policy == DecayPolicy::kPower) {
    facts.add("decay-exponent", number_text(decay.exponent));
  } else if (decay.policy == DecayPolicy::kEbb) {
    facts.add("stability-ms", std::to_string(decay.stability_ms));
  }
  if (decay.has_time()) {
    facts.add("clock", std::string(clock_name(decay.clock)));
    facts.add("last-write-ms", std::to_string(collection.strengths().last_ms()));
  }
  facts.add("omega", number_text(decay.omega));
  facts.add("reinforce", std::string(reinforce_name(decay.reinforce)));
  add_upkeep(collection, facts);
  facts.add("search-beta", number_text(search_beta));
}

/// Of what makes one item of several, while it does.
void add_consolidation(const Collection& collection, FactList& facts) {
  const auto running = collection.consolidation();
  if (running == nullptr) return facts.add("consolidating", std::string("no"));
  const Consolidation::Progress progress = running->progress();
  facts.add("consolidating", std::string(progress.is_grouping ? "grouping" : "merging"));
  facts.add("consolidation-done", progress.done);
  facts.add("consolidation-of", progress.end);
}

/// What was measured of the recall of searches, if it is.
void add_measured_recall(const Collection& collection, FactList& facts) {
  const MeasuredRecall* const measured = collection.measured_recall();
  if (measured == nullptr) return;
  facts.add("measured-share", number_text(collection.spec().measured_share));
  facts.add("measured-dropped", std::to_string(measured->dropped()));
  for (const RecallEstimate& estimate : measured->estimates()) {
    const std::string at = "-at-" + std::to_string(estimate.k);
    facts.add("measured-recall" + at, number_text(estimate.recall));
    facts.add("measured-low" + at, number_text(estimate.low));
    facts.add("measured-high" + at, number_text(estimate.high));
    facts.add("measured-searches" + at, std::to_string(estimate.searches));
  }
}

/// What its searches take to find what share of the ten nearest, where that was found out.
void add_recall_curve(const Collection& collection, FactList& facts) {
  const auto& curve = collection.recall_curve();
  if (!curve) return;
  facts.add("curve-items", curve->items());
  facts.add("curve-sample", curve->sample());
  for (const double recall : {0.9, 0.95, 0.99}) {
    const auto ef = curve->ef_for(10, recall);
    facts.add("ef-for-recall-" + number_text(recall),
              ef ? number_text(std::round(*ef * 10) / 10) : "scan");
  }
}

std::string fact_or(const std::vector<Fact>& facts, std::string_view name, std::string fallback) {
  for (const Fact& fact : facts) {
    if (fact.name == name) return fact.value;
  }
  return fallback;
}

/// EF_CONSTRUCTION as ef-construction.
std::string fact_name(std::string_view option) {
  std::string name = to_lower(option);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// Of all of an index, of which a worker told its primitive's.
std::size_t bytes_of(const Collection& collection, std::size_t index_bytes) {
  return collection.memory().sum() + index_bytes;
}

/// The recaller's beta comes before the option's, which may be 0.
std::vector<Fact> describe(const Collection& collection, IndexFacts found) {
  const IndexSpec& spec = collection.spec();
  FactList facts;
  const VectorSet& set = collection.set();
  const std::string quant = fact_or(found.index, "quant-type", "f32");
  // As Redis calls it, where a client of Redis has made the set.
  const bool is_int8 = set.is_auto && quant == element_name(Element::kSq8);
  facts.add("quant-type", is_int8 ? std::string("int8") : quant);
  facts.add("hnsw-m", fact_or(found.index, "hnsw-m", "0"));
  facts.add("vector-dim", spec.dim);
  facts.add("projection-input-dim", set.projection == nullptr ? 0 : set.projection->from());
  facts.add("size", collection.size());
  facts.add("max-level", fact_or(found.index, "max-level", "0"));
  facts.add("attributes-count", collection.attributes().count());
  facts.add("vset-uid", collection.id());
  facts.add("hnsw-max-node-uid", collection.slots());
  facts.add("primitive", std::string(spec.primitive->name));
  facts.add("metric", std::string(metric_name(spec.metric)));
  facts.add("auto", std::size_t{set.is_auto});
  facts.add("kernel", std::string(collection.kernel_name()));
  facts.add("rows", std::string(rows_place_name(spec.rows)));
  const CollectionMemory memory = collection.memory();
  const std::size_t bytes = bytes_of(collection, found.index_bytes);
  facts.add("memory-bytes", bytes);
  facts.add("index-bytes", found.index_bytes);
  facts.add("vectors-bytes", memory.vectors);
  facts.add("bookkeeping-bytes", memory.bookkeeping);
  facts.add("bytes-per-item", collection.size() == 0 ? 0 : bytes / collection.size());
  facts.add("attributes-bytes", memory.attributes);
  facts.add("attribute-columns", collection.columns().count());
  facts.add("attribute-columns-bytes", memory.attribute_columns);
  facts.add("strengths-bytes", memory.strengths);
  add_decay(collection, found.search_beta, facts);
  add_consolidation(collection, facts);
  add_recall_curve(collection, facts);
  add_measured_recall(collection, facts);
  facts.add(std::move(found.recaller));
  for (std::size_t i = 0; i < spec.options.schema().size(); ++i) {
    facts.add(fact_name(spec.options.schema()[i].name), spec.options.text(i));
  }
  facts.add(std::move(found.index));
  return std::move(facts).take();
}

}  // namespace

void start(Store&, InfoRequest request, Responder<std::vector<Fact>> responder) {
  struct Run {
    InfoRequest request;
    Responder<std::vector<Fact>> responder;
    IndexFacts found;
  };
  const auto run = std::make_shared<Run>(Run{std::move(request), std::move(responder), {}});
  run->request.index.collection->read(
      [run](const ReadView& view, Scratch&) {
        run->found = {.index = view.index().describe(),
                      .recaller = view.describe_recaller(),
                      .index_bytes = view.index().memory_bytes(),
                      .search_beta = view.search_beta()};
      },
      [run] {
        const Status sound = run->request.index.check_soundness();
        if (!sound) return run->responder.refuse(sound.error());
        run->responder.take(describe(*run->request.index.collection, std::move(run->found)));
        run->responder.finish(0);
      });
}

void start(Store&, MemoryRequest request, Responder<std::size_t> responder) {
  struct Run {
    MemoryRequest request;
    Responder<std::size_t> responder;
    std::size_t index_bytes = 0;
  };
  const auto run = std::make_shared<Run>(Run{std::move(request), std::move(responder)});
  run->request.index.collection->read(
      [run](const ReadView& view, Scratch&) { run->index_bytes = view.index().memory_bytes(); },
      [run] {
        run->responder.take(bytes_of(*run->request.index.collection, run->index_bytes));
        run->responder.finish(0);
      });
}

}  // namespace engram
