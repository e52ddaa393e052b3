// SPDX-License-Identifier: Apache-2.0
// Everything that is counted, as programs read it that keep watch. It is made in two steps, so that
// the event loop spends no more than it takes to see what there is: 1,000 indexes are half a
// megabyte of text.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/commands/context.h"
#include "server/engine/collection.h"
#include "server/metrics/command_stats.h"

namespace engram {

/// What there is at one moment. The numbers in histograms are read when the report is rendered.
struct MetricsFacts {
  struct Index {
    std::string name;
    std::shared_ptr<const Collection> collection;  ///< for its series, and its name's sake
    std::uint64_t items = 0;
    CollectionMemory memory = {};
    std::vector<RecallEstimate> recalls = {};
  };
  struct Command {
    std::string_view name;
    std::uint64_t calls;
    std::uint64_t rejected;
    std::uint64_t failed;
    const Histogram* durations;  ///< null: none were recorded
  };
  struct Journal {
    std::uint64_t bytes;
    std::uint64_t buffered_bytes;
    bool is_healthy;
    bool is_saving;
    std::int64_t last_save_ms;
    const Histogram* syncs;
  };

  std::vector<Index> indexes = {};
  std::vector<Command> commands = {};  ///< that were called or refused
  std::map<std::string, std::uint64_t, std::less<>> errors = {};
  std::optional<Journal> journal = {};  ///< nothing: everything is in memory only
  const IndexSeries* all_indexes = nullptr;
  std::string kernel = {};
  std::int64_t started_ms = 0;
  std::int64_t now_ms = 0;
  std::uint64_t keys = 0;
  std::uint64_t clients = 0;
  std::uint64_t connections = 0;
  std::uint64_t refused_connections = 0;
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t most_bytes = 0;  ///< maxmemory
  std::uint64_t workers = 0;
  std::uint64_t waiting_jobs = 0;
};

/// On the event loop.
MetricsFacts collect_metrics(const Services& services);

/// The text format of Prometheus, 0.0.4. Any thread, while the server runs.
std::string prometheus_text(const MetricsFacts& facts);

/// What was done in all, and how long searches took on their workers, in microseconds: a JSON
/// object. Any thread.
std::string metrics_json(const MetricsFacts& facts);

/// The type of the content that prometheus_text() is.
inline constexpr std::string_view kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace engram
