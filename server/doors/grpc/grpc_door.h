// SPDX-License-Identifier: Apache-2.0
// The gRPC door, as its host sees it. Its library has threads of its own; each call becomes a
// session of the loop, and what is asked runs there.
#pragma once

#include <functional>
#include <memory>

#include "core/result.h"
#include "server/commands/context.h"
#include "server/session/sessions.h"

namespace engram {

/// Threads: the event loop's only.
class GrpcDoor {
 public:
  virtual ~GrpcDoor() = default;

  /// Takes what has arrived and begins what may begin; once in each turn.
  virtual void execute() = 0;
  /// Ends all calls, those under way as UNAVAILABLE. Before the store is closed. Idempotent.
  virtual void close() = 0;
};

/// Listens as the configuration says; all outlive it. `wake`: makes the loop take a turn soon, from
/// any thread.
using GrpcOpener = Result<std::unique_ptr<GrpcDoor>> (*)(Sessions& sessions, Services& services,
                                                         std::function<void()> wake);

/// Errors: kIo if it cannot listen.
Result<std::unique_ptr<GrpcDoor>> open_grpc_door(Sessions& sessions, Services& services,
                                                 std::function<void()> wake);

}  // namespace engram
