// SPDX-License-Identifier: Apache-2.0
// INFO: the state of the server as sections of "name:value" lines.
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/reserved_memory.h"
#include "core/text.h"
#include "server/commands/command_statistics.h"
#include "server/commands/context.h"
#include "server/commands/families.h"
#include "server/config/config.h"
#include "server/engine/collection.h"
#include "server/engine/keyspace.h"
#include "server/engine/persistence.h"
#include "server/metrics/server_stats.h"
#include "server/runtime/memory.h"
#include "server/runtime/process.h"
#include "server/runtime/version.h"

namespace engram {
namespace {

using Lines = fmt::memory_buffer;

template <class Value>
void line(Lines& out, std::string_view name, const Value& value) {
  fmt::format_to(std::back_inserter(out), "{}:{}\r\n", name, value);
}

std::string readable_bytes(std::size_t bytes) {
  static constexpr std::array kUnits = {"B", "K", "M", "G", "T"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < kUnits.size(); ++unit) amount /= 1024;
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.2f}{}", amount, kUnits[unit]);
}

void server_section(Lines& out, const Services& services) {
  static const std::string kRunId = random_hex_id();
  constexpr std::int64_t kMsPerDay = 86'400'000;
  const std::int64_t uptime_ms = unix_time_ms() - services.stats.started_ms;
  utsname system{};
  ::uname(&system);
  line(out, "redis_version", kRedisVersion);
  line(out, "redis_mode", "standalone");
  line(out, "server_name", "engram");
  line(out, "engram_version", kVersion);
  line(out, "os", fmt::format("{} {} {}", system.sysname, system.release, system.machine));
  line(out, "arch_bits", 64);
  line(out, "multiplexing_api", "epoll");
  line(out, "gcc_version", __VERSION__);
  line(out, "process_id", ::getpid());
  line(out, "run_id", kRunId);
  line(out, "tcp_port", services.config.port);
  line(out, "server_time_usec", unix_time_us());
  line(out, "uptime_in_seconds", uptime_ms / 1000);
  line(out, "uptime_in_days", uptime_ms / kMsPerDay);
  line(out, "kernel", services.config.kernel);
  line(out, "workers", services.store.workers().size());
  line(out, "worker_queue_depth", services.store.workers().queue_depth());
}

void clients_section(Lines& out, const Services& services) {
  line(out, "connected_clients", services.front_end.client_count());
  line(out, "maxclients", services.config.maxclients);
  line(out, "blocked_clients", services.pauses.paused_sessions());
}

/// What the memory in use is used for, as far as it is told apart.
struct MemoryUse {
  std::size_t vectors = 0;
  std::size_t keys = 0;     ///< of indexes, with what leads to them
  std::size_t links = 0;    ///< graphs, codes and sums
  std::size_t clients = 0;  ///< buffers, and replies in the making
  std::size_t journal = 0;  ///< what is to be written
};

MemoryUse memory_use(const Services& services) {
  MemoryUse use;
  const auto add = [&use](std::string_view, const std::shared_ptr<Collection>& collection) {
    const CollectionMemory memory = collection->memory();
    use.vectors += memory.vectors;
    use.keys += memory.sum() - memory.vectors;
  };
  services.store.keyspace().for_each_collection(add);
  use.links = mapped_bytes() - std::min(mapped_bytes(), use.vectors);
  services.front_end.for_each_client(
      [&use](const Client& client) { use.clients += client.input_capacity + client.output_bytes; });
  if (services.store.persistence() != nullptr) {
    use.journal = services.store.persistence()->facts().journal.buffered_bytes;
  }
  return use;
}

void memory_section(Lines& out, const Services& services) {
  const std::size_t used = allocated_bytes();
  const std::size_t resident = process_memory().resident_bytes;
  auto& peak = services.stats.peak_memory_bytes;
  peak = std::max<std::uint64_t>(peak, used);
  line(out, "used_memory", used);
  line(out, "used_memory_human", readable_bytes(used));
  line(out, "used_memory_rss", resident);
  line(out, "used_memory_rss_human", readable_bytes(resident));
  line(out, "used_memory_peak", peak);
  line(out, "used_memory_peak_human", readable_bytes(peak));
  const MemoryUse use = memory_use(services);
  line(out, "used_memory_vectors", use.vectors);
  line(out, "used_memory_links", use.links);
  line(out, "used_memory_keys", use.keys);
  line(out, "mem_clients_normal", use.clients);
  line(out, "mem_aof_buffer", use.journal);
  line(out, "mem_search_cursors", services.store.cursors().bytes());
  line(out, "maxmemory", services.config.maxmemory);
  line(out, "maxmemory_human", readable_bytes(services.config.maxmemory));
  line(out, "maxmemory_policy", "noeviction");
  line(out, "mem_fragmentation_ratio",
       fmt::format("{:.2f}", static_cast<double>(resident) / static_cast<double>(used)));
  line(out, "mem_allocator", allocator_name());
}

std::string_view ok_or_err(const Status& status) {
  return status ? "ok" : "err";
}

std::string_view verification_name(Verification verification) {
  switch (verification) {
    case Verification::kNone:
      return "none";
    case Verification::kRunning:
      return "running";
    case Verification::kVerified:
      return "verified";
    case Verification::kFailed:
      return "failed";
  }
  return "";
}

/// Names of clients' choice, in one line.
std::string comma_separated(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return text;
}

/// Redis's names where it has such a thing: what it calls rdb is the snapshot, aof is the journal.
void persistence_section(Lines& out, const Services& services) {
  constexpr std::int64_t kMsPerSecond = 1000;
  line(out, "loading", 0);
  line(out, "async_loading", 0);
  line(out, "aof_enabled", services.store.persistence() == nullptr ? 0 : 1);
  if (services.store.persistence() == nullptr) {
    line(out, "rdb_bgsave_in_progress", 0);
    return;
  }
  const PersistenceFacts facts = services.store.persistence()->facts();
  const auto seconds = [](std::int64_t ms) { return ms < 0 ? -1 : ms / kMsPerSecond; };
  line(out, "rdb_changes_since_last_save", facts.changes_since_snapshot);
  line(out, "rdb_bgsave_in_progress", facts.saving ? 1 : 0);
  line(out, "rdb_last_save_time", facts.last_save_ms / kMsPerSecond);
  line(out, "rdb_last_bgsave_status", ok_or_err(facts.last_save_status));
  line(out, "rdb_last_bgsave_time_sec", seconds(facts.last_save_duration_ms));
  line(out, "rdb_current_bgsave_time_sec",
       facts.saving ? seconds(unix_time_ms() - facts.saving_since_ms) : -1);
  line(out, "aof_rewrite_in_progress", 0);
  line(out, "aof_last_write_status", ok_or_err(facts.journal_health));
  line(out, "aof_current_size", facts.journal.bytes);
  line(out, "aof_base_size", facts.snapshot_bytes);
  line(out, "aof_buffer_length", facts.journal.buffered_bytes);
  line(out, "aof_delayed_fsync", facts.journal.delayed);
  line(out, "journal_policy", policy_name(facts.policy));
  line(out, "journal_last_lsn", facts.last);
  line(out, "journal_answerable_lsn", facts.answerable);
  line(out, "journal_syncs", facts.journal.syncs);
  line(out, "journal_replayed_frames", facts.replayed_frames);
  if (!facts.journal_health) line(out, "journal_error", facts.journal_health.error().message);
  line(out, "snapshot_bytes", facts.snapshot_bytes);
  line(out, "snapshot_last_ms", facts.last_save_duration_ms);
  line(out, "snapshot_verification", verification_name(facts.verification));
  if (!facts.damaged_collections.empty()) {
    line(out, "damaged_indexes", comma_separated(facts.damaged_collections));
  }
}

/// The indexes that are being consolidated, and how far that is: name=grouping:1200/60000.
std::string consolidations(const Services& services) {
  std::vector<std::string> running;
  services.store.keyspace().for_each_collection([&](std::string_view name, const auto& collection) {
    const auto found = collection->consolidation();
    if (found == nullptr) return;
    const Consolidation::Progress progress = found->progress();
    running.push_back(fmt::format("{}={}:{}/{}", name,
                                  progress.is_grouping ? "grouping" : "merging", progress.done,
                                  progress.end));
  });
  return comma_separated(running);
}

/// What was measured of the recall of searches: name=10:0.953(0.941-0.962)/512, for each k.
std::string measured_recalls(const Services& services) {
  std::vector<std::string> measured;
  services.store.keyspace().for_each_collection([&](std::string_view name, const auto& collection) {
    if (collection->measured_recall() == nullptr) return;
    for (const RecallEstimate& each : collection->measured_recall()->estimates()) {
      measured.push_back(fmt::format("{}={}:{:.4f}({:.4f}-{:.4f})/{}", name, each.k, each.recall,
                                     each.low, each.high, each.searches));
    }
  });
  return comma_separated(measured);
}

void stats_section(Lines& out, const Services& services) {
  const ServerStats& stats = services.stats;
  const KeyspaceStats& keys = services.store.keyspace().stats();
  line(out, "total_connections_received", stats.connections);
  line(out, "total_commands_processed", stats.commands);
  line(out, "instantaneous_ops_per_sec", stats.commands_per_second);
  line(out, "total_net_input_bytes", stats.input_bytes);
  line(out, "total_net_output_bytes", stats.output_bytes);
  line(out, "rejected_connections", stats.rejected_connections);
  line(out, "expired_keys", keys.expired);
  line(out, "evicted_keys", 0);
  line(out, "forgotten_items", services.store.upkeep().forgotten());
  line(out, "merged_items", services.store.upkeep().merged());
  line(out, "forgetting_indexes", services.store.upkeep().rounds_under_way());
  line(out, "keyspace_hits", keys.hits);
  line(out, "keyspace_misses", keys.misses);
  line(out, "total_error_replies", stats.error_replies);
  line(out, "consolidations", consolidations(services));
  line(out, "measured_recalls", measured_recalls(services));
  line(out, "search_cursors", services.store.cursors().size());
}

void replication_section(Lines& out, const Services&) {
  line(out, "role", "master");
  line(out, "connected_slaves", 0);
  line(out, "master_repl_offset", 0);
}

void cpu_section(Lines& out, const Services&) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return fmt::format("{}.{:06}", time.tv_sec, time.tv_usec);
  };
  line(out, "used_cpu_sys", seconds(usage.ru_stime));
  line(out, "used_cpu_user", seconds(usage.ru_utime));
}

void cluster_section(Lines& out, const Services&) {
  line(out, "cluster_enabled", 0);
}

void keyspace_section(Lines& out, const Services& services) {
  const Keyspace& keyspace = services.store.keyspace();
  if (keyspace.size() == 0) return;
  line(out, "db0",
       fmt::format("keys={},expires={},avg_ttl=0", keyspace.size(), keyspace.expiring()));
}

template <std::string (*kLines)(const Services&)>
void lines_of(Lines& out, const Services& services) {
  out.append(kLines(services));
}

struct Section {
  std::string_view title;
  void (*write)(Lines&, const Services&);
  bool is_default = true;  ///< told when no section is named
};

constexpr std::array<Section, 12> kSections = {
    {{"Server", server_section},
     {"Clients", clients_section},
     {"Memory", memory_section},
     {"Persistence", persistence_section},
     {"Stats", stats_section},
     {"Replication", replication_section},
     {"CPU", cpu_section},
     {"Commandstats", lines_of<command_stats_lines>, false},
     {"Errorstats", lines_of<error_stats_lines>},
     {"Latencystats", lines_of<latency_stats_lines>, false},
     {"Cluster", cluster_section},
     {"Keyspace", keyspace_section}}};

bool wanted(const Section& section, Arguments names) {
  if (names.empty()) return section.is_default;
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return equal_ignoring_case(name, section.title) || equal_ignoring_case(name, "all") ||
           equal_ignoring_case(name, "everything") ||
           (section.is_default && equal_ignoring_case(name, "default"));
  });
}

void info(CommandContext& context) {
  Lines out;
  for (const Section& section : kSections) {
    if (!wanted(section, context.argv.subspan(1))) continue;
    fmt::format_to(std::back_inserter(out), "{}# {}\r\n", out.size() == 0 ? "" : "\r\n",
                   section.title);
    section.write(out, context.services);
  }
  context.reply.verbatim({out.data(), out.size()});
}

using namespace command_flag;

constexpr std::array kInfoCommands = {
    CommandSpec{.name = "info",
                .handler = info,
                .arity = -1,
                .flags = kLoading | kStale,
                .group = "server",
                .summary = "Describes the state of the server, all of it or the sections named",
                .syntax = "[section...]"},
};

}  // namespace

std::span<const CommandSpec> info_commands() {
  return kInfoCommands;
}

}  // namespace engram
