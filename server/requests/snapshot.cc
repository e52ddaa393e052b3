// SPDX-License-Identifier: Apache-2.0
#include "server/requests/snapshot.h"

#include <utility>

#include "server/engine/persistence.h"

namespace engram {

Status start_snapshot(Store& store, Responder<void> responder, std::string directory) {
  if (store.persistence() == nullptr) {
    return fail(
        ErrorCode::kUnsupported,
        "the data is in memory only; start the server with --dir DIR, or open the store with "
        "a directory, to have it on disk");
  }
  return store.persistence()->save(
      [responder = std::move(responder)](const Status& saved) {
        responder.take(saved);
        responder.finish(0);
      },
      std::move(directory));
}

}  // namespace engram
