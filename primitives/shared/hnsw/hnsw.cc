// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/hnsw/hnsw.h"

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string>

#include "core/hash.h"
#include "core/registry.h"

namespace engram::hnsw {
namespace {

std::string decimal(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

}  // namespace

Status check_insert_work(std::size_t m, std::size_t ef_construction, std::size_t dim) {
  constexpr std::size_t kMostWork = std::size_t{1} << 33;
  const std::size_t work = 2 * m * ef_construction * dim;
  if (work <= kMostWork) return {};
  return fail(ErrorCode::kInvalidArgument,
              "M " + std::to_string(m) + " and EF_CONSTRUCTION " + std::to_string(ef_construction) +
                  " at " + std::to_string(dim) + " dimensions are " + std::to_string(work) +
                  " products for each insert, at most " + std::to_string(kMostWork) +
                  " are allowed: EF_CONSTRUCTION " + std::to_string(kMostWork / (2 * m * dim)));
}

Result<std::unique_ptr<Hnsw>> Hnsw::create(const IndexContext& context, const Config& config) {
  std::unique_ptr<Hnsw> index(new Hnsw(context, config));
  ENGRAM_TRY(index->prepare());
  return index;
}

Status Hnsw::prepare() {
  ENGRAM_TRY(prepare_codes());
  return prepare_recaller();
}

/// Leaves in working.before what the places of a list have, if somebody follows it.
void Hnsw::remember(const LinkList& links, HnswBuffers& working) const {
  if (follower_ == nullptr) return;
  working.before.clear();
  for (std::size_t i = 0; i < links.capacity(); ++i) working.before.push_back(links[i]);
}

Status Hnsw::prepare_recaller() {
  auto recaller = make_default_recaller({.context = context_, .held = held_, .graph = this});
  if (!recaller) return tl::unexpected(std::move(recaller.error()));
  recaller_ = std::move(*recaller);
  return {};
}

std::size_t Hnsw::memory_bytes() const noexcept {
  const std::size_t code_bytes =
      codes_ == nullptr ? 0 : graph_.node_end() * codes_->row_bytes() + codes_->bookkeeping_bytes();
  const std::size_t level_bytes = has_graph() ? 0 : context_.store.slot_end();
  return sizeof(*this) + graph_.memory_bytes() + code_bytes + level_bytes +
         outpost_bytes_.load(std::memory_order_relaxed) + nodes_.memory_bytes() +
         held_.memory_bytes();
}

std::vector<Fact> Hnsw::describe() const {
  const Entry entry = graph_.entry();
  // Operations go on meanwhile: two looks at one size may differ.
  const std::size_t nodes = nodes_.size();
  const std::size_t erased = nodes - std::min(nodes, held_.size());
  std::vector<Fact> facts = {
      {"max-level", std::to_string(entry.level)},
      {"hnsw-m", std::to_string(config_.m)},
      {"ef-construction", std::to_string(config_.ef_construction)},
      {"ef-search", std::to_string(config_.ef_search)},
      {"seed", std::to_string(config_.seed)},
      {"quant-type", std::string(element_name(config_.quant))},
      {"mean-degree", decimal(mean_degree(), 1)},
      {"erased-nodes", std::to_string(erased)},
      {"unfound-items", unfound_items()},
  };
  // Without the vectors nobody knows what their codes have lost.
  const auto recall = codes_ == nullptr || !has_graph() ? std::nullopt : code_recall();
  if (recall) facts.push_back({"quant-recall-at-10", decimal(*recall, 3)});
  return facts;
}

std::vector<std::vector<Slot>> Hnsw::links(Slot slot) const {
  std::vector<std::vector<Slot>> levels;
  if (!has_graph() || !nodes_.contains(slot)) return levels;
  levels.resize(std::size_t{graph_.level(slot)} + 1);
  for (std::size_t level = 0; level < levels.size(); ++level) {
    std::vector<Slot>& found = levels[level];
    graph_.links(slot, static_cast<unsigned>(level)).for_each([&](Slot neighbor) {
      // A list that is being rewritten may have one twice.
      const bool is_known = std::find(found.begin(), found.end(), neighbor) != found.end();
      if (!is_known && held_.contains(neighbor)) found.push_back(neighbor);
    });
  }
  return levels;
}

/// Of a thousand nodes at level 0, the same ones each time: VINFO must not cost a pass over all.
double Hnsw::mean_degree() const {
  constexpr std::uint64_t kNodes = 1000;
  const std::size_t end = graph_.node_end();
  std::size_t nodes = 0;
  std::size_t links = 0;
  for (std::uint64_t i = 0; i < kNodes && end > 0; ++i) {
    const auto slot = static_cast<Slot>(mix(i) % end);
    if (!nodes_.contains(slot)) continue;
    ++nodes;
    links += graph_.links(slot, 0).size();
  }
  return nodes == 0 ? 0 : static_cast<double>(links) / static_cast<double>(nodes);
}

}  // namespace engram::hnsw
