// SPDX-License-Identifier: Apache-2.0
// The filters of a command with several queries.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/result.h"
#include "server/engine/key_hash.h"
#include "server/filters/filter.h"

namespace engram {

/// A filter of queries from `first` on, up to those of the next; null: they have none.
struct QueryFilter {
  std::size_t first;
  std::shared_ptr<const Filter> filter;
};

/// The filter of a query; null if it has none. There may be as many as there are queries.
std::shared_ptr<const Filter> filter_of(std::span<const QueryFilter> filters, std::size_t query);

/// The first query after `query`, of `queries`, that has another filter.
std::size_t end_of_filter(std::span<const QueryFilter> filters, std::size_t query,
                          std::size_t queries);

/// Adds filters to those of a command, which outlive this. The loop compiles them: equal texts
/// once, and of different ones at most kMostBytes.
class FilterAdder {
 public:
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;

  explicit FilterAdder(std::vector<QueryFilter>& filters);

  /// The filter of queries from `first` on, which come after those that have one. Errors:
  /// kInvalidArgument.
  Status add(std::string_view text, std::size_t first);

 private:
  void keep(const std::shared_ptr<const Filter>& filter);

  std::vector<QueryFilter>& filters_;
  /// By the text that the filter itself has.
  std::unordered_map<std::string_view, std::shared_ptr<const Filter>, KeyHash> known_;
  std::size_t bytes_ = 0;  // of their texts
};

}  // namespace engram
