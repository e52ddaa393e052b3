// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace engram {

/// Everything about a server that can be configured, with the defaults. Names as in redis.conf,
/// with '-' for '_'; parameters.h declares how each is read and written. Threads: the event loop's
/// only.
struct ServerConfig {
  std::vector<std::string> bind = {"127.0.0.1"};
  int port = 6380;  ///< 0: the kernel chooses, and then this is what it chose
  std::vector<std::string> http_bind = {"127.0.0.1"};
  int http_port = 0;  ///< 0: HTTP is off
  std::vector<std::string> grpc_bind = {"127.0.0.1"};
  int grpc_port = 0;           ///< 0: gRPC is off
  bool protected_mode = true;  ///< without a password, only this machine is served
  std::string requirepass = {};
  std::int64_t maxclients = 10'000;
  std::string dir = {};      ///< of the data; empty: everything is in memory only
  std::int64_t timeout = 0;  ///< seconds of silence after which a client is dropped; 0: never
  /// The same of an HTTP client; a request's head has no longer to arrive, either.
  std::int64_t http_timeout = 60;
  std::size_t http_max_body = 32UL * 1024 * 1024;  ///< of a request, in bytes
  std::string http_metric = "cosine";   ///< of the collection that the first insert makes
  std::string http_primitive = "hnsw";  ///< likewise
  int tcp_keepalive = 300;              ///< seconds; 0: off
  int tcp_backlog = 511;
  std::size_t proto_max_bulk_len = 512UL * 1024 * 1024;
  std::size_t client_query_buffer_limit = 1024UL * 1024 * 1024;
  std::size_t maxmemory = 0;  ///< beyond which writes are refused; 0: no limit
  std::size_t attribute_columns_max_bytes = 256UL * 1024 * 1024;  ///< of each index
  std::string loglevel = "info";
  int workers = 0;  ///< 0 at start-up: one per core
  std::string kernel = "auto";
  bool appendonly = true;                ///< keeps its data in `dir`, if there is one
  std::string appendfsync = "everysec";  ///< or always, or no
  std::string keep_previous_snapshot = "until-verified";  ///< or yes, or no
  /// Snapshots by age: after so many seconds, if at least so many changes were made.
  std::vector<std::pair<std::int64_t, std::int64_t>> save = {{3600, 1}};
  /// Snapshots by size: when the journal is so large in percent of the last snapshot, 0 being
  /// never,
  std::int64_t auto_aof_rewrite_percentage = 100;
  std::size_t auto_aof_rewrite_min_size = 64UL * 1024 * 1024;  ///< and no smaller than this
  // Of searches that are answered in pages: how long a cursor may be idle, how many there may be,
  // and how much they may remember.
  std::int64_t search_cursor_timeout = 300;  ///< seconds
  std::size_t search_cursors = 1000;
  std::size_t search_cursor_memory = 64UL * 1024 * 1024;
  // What is remembered of commands, as in Redis.
  bool latency_tracking = true;
  std::vector<double> latency_tracking_info_percentiles = {50, 99, 99.9};
  std::int64_t slowlog_log_slower_than = 10'000;  ///< microseconds; negative: none is
  std::size_t slowlog_max_len = 128;
  std::string file = {};  ///< the configuration file that was read; empty: none
};

}  // namespace engram
