// SPDX-License-Identifier: Apache-2.0
#include "server/commands/metrics_report.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "server/commands/table.h"
#include "server/config/config.h"
#include "server/engine/keyspace.h"
#include "server/engine/persistence.h"
#include "server/json/json_writer.h"
#include "server/metrics/process_facts.h"
#include "server/metrics/prometheus_text.h"
#include "server/metrics/server_stats.h"
#include "server/runtime/memory.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

using ScrapedIndex = MetricsFacts::Index;

/// Of commands, most of which take microseconds.
constexpr std::array<SecondsBound, 16> kCommandBounds = {{{"1e-06", 1'000},
                                                          {"5e-06", 5'000},
                                                          {"1e-05", 10'000},
                                                          {"2.5e-05", 25'000},
                                                          {"5e-05", 50'000},
                                                          {"0.0001", 100'000},
                                                          {"0.00025", 250'000},
                                                          {"0.0005", 500'000},
                                                          {"0.001", 1'000'000},
                                                          {"0.0025", 2'500'000},
                                                          {"0.005", 5'000'000},
                                                          {"0.01", 10'000'000},
                                                          {"0.05", 50'000'000},
                                                          {"0.1", 100'000'000},
                                                          {"1", 1'000'000'000},
                                                          {"10", 10'000'000'000}}};

/// Of what workers and disks do. Few, because every index has them.
constexpr std::array<SecondsBound, 13> kWorkBounds = {{{"2.5e-05", 25'000},
                                                       {"5e-05", 50'000},
                                                       {"0.0001", 100'000},
                                                       {"0.00025", 250'000},
                                                       {"0.0005", 500'000},
                                                       {"0.001", 1'000'000},
                                                       {"0.0025", 2'500'000},
                                                       {"0.005", 5'000'000},
                                                       {"0.01", 10'000'000},
                                                       {"0.025", 25'000'000},
                                                       {"0.1", 100'000'000},
                                                       {"1", 1'000'000'000},
                                                       {"10", 10'000'000'000}}};

/// What a scrape tells of indexes, however many there are and whatever they are called.
constexpr std::size_t kMostIndexBytes = std::size_t{64} << 20;

double seconds_of(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

ScrapedIndex facts_of(std::string_view name, std::shared_ptr<const Collection> collection) {
  ScrapedIndex facts = {.name = std::string(name), .collection = std::move(collection)};
  const Collection& index = *facts.collection;
  facts.items = index.size();
  facts.memory = index.memory();
  if (index.measured_recall() != nullptr) facts.recalls = index.measured_recall()->estimates();
  return facts;
}

void collect_indexes(Keyspace& keyspace, MetricsFacts& facts) {
  facts.indexes.reserve(keyspace.collection_names().size());
  keyspace.for_each_collection(
      [&facts](std::string_view name, const std::shared_ptr<Collection>& collection) {
        facts.indexes.push_back(facts_of(name, collection));
      });
}

void collect_commands(const Services& services, MetricsFacts& facts) {
  const auto names = services.commands.full_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const CommandStat& stat = services.stats.calls[static_cast<CommandNumber>(i)];
    if (stat.is_empty()) continue;
    facts.commands.push_back({.name = names[i],
                              .calls = stat.calls,
                              .rejected = stat.rejected,
                              .failed = stat.failed,
                              .durations = stat.durations.get()});
  }
}

std::string label(std::string_view name, std::string_view value) {
  std::string labels;
  add_label(labels, name, value);
  return labels;
}

void write_build(PrometheusText& text, const MetricsFacts& facts) {
  std::string labels = label("version", kVersion);
  add_label(labels, "redis_version", kRedisVersion);
  add_label(labels, "kernel", facts.kernel);
  text.family("engram_build_info", "gauge", "The version of the server.");
  text.sample(labels, std::uint64_t{1});
}

void write_commands(PrometheusText& text, const MetricsFacts& facts) {
  std::vector<std::string> labels;
  labels.reserve(facts.commands.size());
  for (const auto& command : facts.commands) labels.push_back(label("command", command.name));
  const auto write = [&](std::string_view name, std::string_view help, auto member) {
    text.family(name, "counter", help);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      text.sample(labels[i], facts.commands[i].*member);
    }
  };
  using Command = MetricsFacts::Command;
  write("engram_commands_total", "Commands that were answered, by command.", &Command::calls);
  write("engram_commands_failed_total", "Commands that were answered with an error.",
        &Command::failed);
  write("engram_commands_rejected_total", "Commands that were refused before they began.",
        &Command::rejected);
  text.family("engram_command_duration_seconds", "histogram",
              "From when a command was taken up until its answer was there.");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const Histogram* const durations = facts.commands[i].durations;
    if (durations != nullptr) text.histogram(labels[i], *durations, kCommandBounds);
  }
  text.family("engram_error_replies_total", "counter", "Error replies, by their first word.");
  for (const auto& [word, count] : facts.errors) text.sample(label("error", word), count);
}

/// At most, of lines whose labels have `label_bytes`.
std::size_t text_bytes(const ScrapedIndex& index, std::size_t label_bytes) {
  constexpr std::size_t kLineBytes = 80;  // without labels
  constexpr std::size_t kGauges = 6;
  constexpr std::size_t kGaugesOfRecall = 3;
  std::size_t lines = kGauges + kGaugesOfRecall * index.recalls.size();
  for (std::size_t work = 0; work < kIndexWorks; ++work) {
    const bool was_done =
        index.collection->series().durations(static_cast<IndexWork>(work)) != nullptr;
    if (was_done) lines += kWorkBounds.size() + 3;
  }
  return lines * (label_bytes + kLineBytes);
}

/// Labels that name an index and its primitive, of as many indexes as a scrape tells of.
std::vector<std::string> labels_of(const MetricsFacts& facts) {
  std::vector<std::string> all;
  all.reserve(facts.indexes.size());
  std::size_t bytes = 0;
  for (const ScrapedIndex& index : facts.indexes) {
    std::string labels = label("index", index.name);
    add_label(labels, "primitive", index.collection->spec().primitive->name);
    bytes += text_bytes(index, labels.size());
    if (bytes > kMostIndexBytes) break;
    all.push_back(std::move(labels));
  }
  return all;
}

void write_work(PrometheusText& text, const MetricsFacts& facts,
                const std::vector<std::string>& labels) {
  struct Family {
    IndexWork work;
    std::string_view name;
    std::string_view help;
  };
  static constexpr std::array<Family, kIndexWorks> kFamilies = {{
      {IndexWork::kSearch, "engram_search_duration_seconds", "What a search took its worker."},
      {IndexWork::kRecall, "engram_recall_duration_seconds", "What a recall took its worker."},
      {IndexWork::kInsert, "engram_insert_duration_seconds", "What an insert took its worker."},
      {IndexWork::kErase, "engram_erase_duration_seconds", "What an erasure took its worker."},
  }};
  for (const Family& family : kFamilies) {
    text.family(family.name, "histogram", family.help);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const Histogram* const durations =
          facts.indexes[i].collection->series().durations(family.work);
      if (durations != nullptr) text.histogram(labels[i], *durations, kWorkBounds);
    }
  }
}

void write_indexes(PrometheusText& text, const MetricsFacts& facts) {
  const std::vector<std::string> labels = labels_of(facts);
  text.family("engram_indexes_untold", "gauge",
              "Indexes of which no more is told, because it would be too much.");
  text.sample({}, std::uint64_t{facts.indexes.size() - labels.size()});
  write_work(text, facts, labels);
  text.family("engram_index_items", "gauge", "Items of an index.");
  for (std::size_t i = 0; i < labels.size(); ++i) text.sample(labels[i], facts.indexes[i].items);

  text.family("engram_index_memory_bytes", "gauge", "Memory of an index, by part.");
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const ScrapedIndex& index = facts.indexes[i];
    const std::array<std::pair<std::string_view, std::uint64_t>, 5> parts = {
        {{"vectors", index.memory.vectors},
         {"structure", index.collection->series().structure_bytes()},
         {"bookkeeping", index.memory.bookkeeping},
         {"attributes", index.memory.attributes + index.memory.attribute_columns},
         {"strengths", index.memory.strengths}}};
    for (const auto& [part, bytes] : parts) {
      text.sample(labels[i] + ",part=\"" + std::string(part) + "\"", bytes);
    }
  }

  const auto write_recall = [&](std::string_view name, std::string_view help, auto member) {
    text.family(name, "gauge", help);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      for (const RecallEstimate& each : facts.indexes[i].recalls) {
        text.sample(labels[i] + ",k=\"" + std::to_string(each.k) + "\"", each.*member);
      }
    }
  };
  write_recall("engram_index_recall_ratio", "Measured recall of searches, by k.",
               &RecallEstimate::recall);
  write_recall("engram_index_recall_low_ratio", "The lower end of its 95 % interval.",
               &RecallEstimate::low);
  write_recall("engram_index_recall_high_ratio", "The upper end of its 95 % interval.",
               &RecallEstimate::high);
}

void write_server(PrometheusText& text, const MetricsFacts& facts) {
  const auto write = [&text](std::string_view name, std::string_view type, std::string_view help,
                             std::uint64_t value) {
    text.family(name, type, help);
    text.sample({}, value);
  };
  write("engram_keys", "gauge", "Keys of any type.", facts.keys);
  write("engram_indexes", "gauge", "Keys that hold an index.", facts.indexes.size());
  write("engram_connected_clients", "gauge", "Connections that are open.", facts.clients);
  write("engram_connections_total", "counter", "Connections that were accepted.",
        facts.connections);
  write("engram_connections_rejected_total", "counter", "Connections that were refused.",
        facts.refused_connections);
  write("engram_network_input_bytes_total", "counter", "Bytes that clients sent.",
        facts.input_bytes);
  write("engram_network_output_bytes_total", "counter", "Bytes that clients were sent.",
        facts.output_bytes);
  write("engram_memory_used_bytes", "gauge", "Memory that was allocated and not freed.",
        facts.used_bytes);
  write("engram_memory_max_bytes", "gauge", "The parameter maxmemory; 0: no limit.",
        facts.most_bytes);
  write("engram_workers", "gauge", "Threads for vector work.", facts.workers);
  write("engram_worker_queue_jobs", "gauge", "Jobs that wait for a worker.", facts.waiting_jobs);
}

void write_journal(PrometheusText& text, const MetricsFacts::Journal& journal) {
  const auto write = [&text](std::string_view name, std::string_view help, auto value) {
    text.family(name, "gauge", help);
    text.sample({}, value);
  };
  text.family("engram_journal_fsync_duration_seconds", "histogram",
              "What the disk took to sync the journal.");
  text.histogram({}, *journal.syncs, kWorkBounds);
  write("engram_journal_bytes", "Bytes of the journal.", journal.bytes);
  write("engram_journal_buffered_bytes", "Bytes that are about to be written.",
        journal.buffered_bytes);
  write("engram_journal_healthy", "1 while changes can be kept, else 0.",
        std::uint64_t{journal.is_healthy});
  write("engram_snapshot_in_progress", "1 while a snapshot is taken, else 0.",
        std::uint64_t{journal.is_saving});
  write("engram_snapshot_last_timestamp_seconds",
        "Unix time of the last snapshot, or of the start.", seconds_of(journal.last_save_ms));
}

void write_process(PrometheusText& text, const MetricsFacts& facts) {
  const ProcessFacts process = process_facts();
  const auto write = [&text](std::string_view name, std::string_view help, auto value,
                             std::string_view type = "gauge") {
    text.family(name, type, help);
    text.sample({}, value);
  };
  write("process_cpu_seconds_total", "User and system time.", process.cpu_seconds, "counter");
  write("process_start_time_seconds", "Unix time of the start.", seconds_of(facts.started_ms));
  write("process_resident_memory_bytes", "Resident memory.", process.resident_bytes);
  write("process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes);
  write("process_open_fds", "Open file descriptors.", process.open_descriptors);
  write("process_max_fds", "The limit on them.", process.most_descriptors);
}

}  // namespace

MetricsFacts collect_metrics(const Services& services) {
  MetricsFacts facts;
  const ServerStats& stats = services.stats;
  Store& store = services.store;
  collect_indexes(store.keyspace(), facts);
  collect_commands(services, facts);
  facts.errors = stats.errors.counts();
  if (Persistence* const persistence = store.persistence()) {
    const PersistenceFacts told = persistence->facts();
    facts.journal = {.bytes = told.journal.bytes,
                     .buffered_bytes = told.journal.buffered_bytes,
                     .is_healthy = told.journal_health.has_value(),
                     .is_saving = told.saving,
                     .last_save_ms = told.last_save_ms,
                     .syncs = &persistence->sync_durations()};
  }
  facts.all_indexes = &store.series();
  facts.kernel = store.kernel_name();
  facts.started_ms = stats.started_ms;
  facts.now_ms = store.keyspace().now_ms();
  facts.keys = store.keyspace().size();
  facts.clients = services.front_end.client_count();
  facts.connections = stats.connections;
  facts.refused_connections = stats.rejected_connections;
  facts.input_bytes = stats.input_bytes;
  facts.output_bytes = stats.output_bytes;
  facts.used_bytes = allocated_bytes();
  facts.most_bytes = services.config.maxmemory;
  facts.workers = store.workers().size();
  facts.waiting_jobs = store.workers().queue_depth();
  return facts;
}

std::string prometheus_text(const MetricsFacts& facts) {
  constexpr std::size_t kBytesOfServer = 64UL * 1024;
  constexpr std::size_t kBytesOfIndex = 4UL * 1024;
  PrometheusText text;
  text.expect(kBytesOfServer + std::min(kBytesOfIndex * facts.indexes.size(), kMostIndexBytes));
  write_build(text, facts);
  write_server(text, facts);
  write_commands(text, facts);
  write_indexes(text, facts);
  if (facts.journal) write_journal(text, *facts.journal);
  write_process(text, facts);
  return std::move(text).take();
}

std::string metrics_json(const MetricsFacts& facts) {
  const auto durations = [&facts](IndexWork work) { return facts.all_indexes->durations(work); };
  const auto count = [&durations](IndexWork work) {
    const Histogram* const found = durations(work);
    return found == nullptr ? 0 : found->count();
  };
  const Histogram* const searches = durations(IndexWork::kSearch);
  const std::uint64_t queries = count(IndexWork::kSearch);
  const auto quantile_us = [searches](double share) {
    return searches == nullptr ? 0 : searches->quantile(share) / 1000;
  };
  const double sum_us = searches == nullptr ? 0 : static_cast<double>(searches->sum()) / 1000;
  std::uint64_t items = 0;
  for (const ScrapedIndex& index : facts.indexes) items += index.items;
  std::string text;
  JsonWriter json(text);
  json.begin_object();
  json.name("total_queries").count(queries);
  json.name("total_inserts").count(count(IndexWork::kInsert));
  json.name("total_deletes").count(count(IndexWork::kErase));
  json.name("avg_latency_us").number(queries == 0 ? 0 : sum_us / static_cast<double>(queries));
  json.name("p50_latency_us").number(quantile_us(0.5));
  json.name("p95_latency_us").number(quantile_us(0.95));
  json.name("p99_latency_us").number(quantile_us(0.99));
  json.name("indexes").count(facts.indexes.size());
  json.name("vectors").count(items);
  json.name("uptime_seconds").number(seconds_of(facts.now_ms - facts.started_ms));
  json.end_object();
  return text;
}

}  // namespace engram
