// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "server/engine/projection.h"

namespace engram {

/// What a collection has that was made as a vector set of Redis.
struct VectorSet {
  /// Made by its first element: it goes with its last.
  bool is_auto = false;
  /// What vectors go through that have its dimensions; null: they are stored as they are given.
  std::shared_ptr<const Projection> projection = nullptr;
};

}  // namespace engram
