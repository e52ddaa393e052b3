// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_verifier.h"

#include <utility>

#include "server/runtime/thread_traits.h"

namespace engram {

SnapshotVerifier::SnapshotVerifier(
    std::unique_ptr<SnapshotFile> snapshot, LoopTasks& loop,
    std::function<void(SectionOwner owner, const std::string& reason)> damaged,
    std::function<void()> done)
    : snapshot_(std::move(snapshot)),
      thread_([this, &loop, damaged = std::move(damaged), done = std::move(done)] {
        name_this_thread("verifier");
        prefer_background();
        for (const SnapshotEntry& entry : snapshot_->entries()) {
          if (cancelled_.load()) return;
          const Status status = snapshot_->verify(entry, cancelled_);
          if (status) continue;
          loop.post([damaged, owner = entry.owner, reason = status.error().message] {
            damaged(owner, reason);
          });
        }
        loop.post(done);
      }) {}

SnapshotVerifier::~SnapshotVerifier() {
  cancelled_.store(true);
  thread_.join();
}

}  // namespace engram
