// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/partitions.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <queue>
#include <string>

#include "core/text.h"

namespace engram::router {
namespace {

tl::unexpected<Error> no_answer(std::size_t partition, const std::string& why) {
  return fail(ErrorCode::kDataLoss, "partition " + std::to_string(partition) + ": " + why);
}

}  // namespace

std::size_t first_k(std::size_t k, std::size_t partitions) {
  constexpr double kDeviations = 3;
  constexpr double kMargin = 3;
  const double mean = static_cast<double>(k) / static_cast<double>(partitions);
  const double wanted = std::ceil(mean + kDeviations * std::sqrt(mean) + kMargin);
  return std::min(k, static_cast<std::size_t>(wanted));
}

Result<std::vector<Hit>> hits_of(const Reply& rows, std::size_t stride, std::size_t partition) {
  const auto no_rows = no_answer(partition, "what it answers is not what a search answers");
  if (!rows.is_array() || rows.items.size() % stride != 0) return no_rows;
  std::vector<Hit> hits;
  hits.reserve(rows.items.size() / stride);
  for (std::size_t i = 0; i < rows.items.size(); i += stride) {
    const auto distance = parse_number<double>(rows.items[i + 1].text);
    if (!distance) return no_rows;
    hits.push_back({.distance = *distance, .partition = partition, .fields = &rows.items[i]});
  }
  return hits;
}

Result<std::size_t> count_queries(std::span<const Reply* const> replies) {
  std::optional<std::size_t> queries;
  for (std::size_t p = 0; p < replies.size(); ++p) {
    const Reply* const reply = replies[p];
    if (reply == nullptr) continue;
    if (!reply->is_array()) return no_answer(p, "what it answers is not what a batch answers");
    const std::size_t answered = reply->items.size();
    if (!queries) queries = answered;
    if (answered != *queries) {
      return no_answer(p, "it answers " + std::to_string(answered) +
                              " queries of a batch, and others " + std::to_string(*queries));
    }
  }
  return queries.value_or(0);
}

std::vector<Hit> merge_hits(const std::vector<std::vector<Hit>>& lists, std::size_t k) {
  struct Head {
    std::size_t list;
    std::size_t at;
  };
  const auto is_farther = [&](const Head& a, const Head& b) {
    const Hit& left = lists[a.list][a.at];
    const Hit& right = lists[b.list][b.at];
    if (left.distance != right.distance) return left.distance > right.distance;
    return left.partition > right.partition;
  };
  std::priority_queue<Head, std::vector<Head>, decltype(is_farther)> heads(is_farther);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (!lists[i].empty()) heads.push({i, 0});
  }
  std::vector<Hit> merged;
  while (merged.size() < k && !heads.empty()) {
    Head head = heads.top();
    heads.pop();
    merged.push_back(lists[head.list][head.at]);
    if (++head.at < lists[head.list].size()) heads.push(head);
  }
  return merged;
}

std::vector<std::size_t> short_lists(const std::vector<std::vector<Hit>>& lists,
                                     const std::vector<std::size_t>& asked, std::size_t k) {
  const std::vector<Hit> merged = merge_hits(lists, k);
  std::vector<std::size_t> partitions;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (asked[i] >= k || lists[i].empty() || lists[i].size() < asked[i]) continue;
    const bool is_inside = merged.size() < k || lists[i].back().distance <= merged.back().distance;
    if (is_inside) partitions.push_back(i);
  }
  return partitions;
}

}  // namespace engram::router
