// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "core/result.h"
#include "server/durability/snapshot_file.h"
#include "server/runtime/loop_tasks.h"

namespace engram {

/// Compares the checksums of a snapshot that is in use already, on a thread of its own: rows and
/// links are served before anybody has read them all.
///
/// Threads: the event loop's only.
class SnapshotVerifier {
 public:
  /// `damaged` is called on the loop for each section that is, `done` after the last: with
  /// kResourceExhausted, and nothing verified, where the system allows no thread.
  SnapshotVerifier(std::unique_ptr<SnapshotFile> snapshot, LoopTasks& loop,
                   std::function<void(SectionOwner owner, const std::string& reason)> damaged,
                   const std::function<void(const Status&)>& done);
  ~SnapshotVerifier();
  SnapshotVerifier(const SnapshotVerifier&) = delete;
  SnapshotVerifier& operator=(const SnapshotVerifier&) = delete;

 private:
  const std::unique_ptr<SnapshotFile> snapshot_;
  std::atomic<bool> cancelled_ = false;
  std::thread thread_;
};

}  // namespace engram
