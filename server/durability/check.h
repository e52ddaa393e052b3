// SPDX-License-Identifier: Apache-2.0
// What `engram check` does.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"
#include "server/durability/file_system.h"

namespace engram {

struct CheckReport {
  std::vector<std::string> lines;  ///< what was found and done, for people
  bool damaged = false;            ///< there is damage, and it was not repaired
};

/// Reads every file of the store in `directory`, and explains what it finds. With `repair` it cuts
/// off what cannot be replayed (a torn tail, which a server would cut off by itself, too), and
/// writes a damaged snapshot anew without what is damaged.
/// Errors: kAlreadyExists if a process has the store open; kNotFound; kNoSpace and kIo, after which
/// it may be tried again.
Result<CheckReport> check_store(FileSystem& disk, const std::string& directory, bool repair);

}  // namespace engram
