// SPDX-License-Identifier: Apache-2.0
#include "server/engine/snapshot_verifier.h"

#include <system_error>
#include <utility>

#include "server/runtime/thread_traits.h"

namespace engram {

SnapshotVerifier::SnapshotVerifier(
    std::unique_ptr<SnapshotFile> snapshot, LoopTasks& loop,
    std::function<void(SectionOwner owner, const std::string& reason)> damaged,
    const std::function<void(const Status&)>& done)
    : snapshot_(std::move(snapshot)) {
  try {
    thread_ = std::thread([this, &loop, done, damaged = std::move(damaged)] {
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
      loop.post([done] { done({}); });
    });
  } catch (const std::system_error& error) {
    loop.post([done, reason = std::string(error.what())] {
      done(fail(ErrorCode::kResourceExhausted, "cannot start a thread: " + reason));
    });
  }
}

SnapshotVerifier::~SnapshotVerifier() {
  cancelled_.store(true);
  if (thread_.joinable()) thread_.join();
}

}  // namespace engram
