// SPDX-License-Identifier: Apache-2.0
// What the replies of V* have in common.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/recall.h"
#include "core/result.h"
#include "server/engine/collection.h"
#include "server/resp/reply_writer.h"

namespace engram {

/// Refuses more answers than one command may give, which bounds the memory of its reply. Errors:
/// kInvalidArgument.
Status check_answers(std::size_t answers);

/// About what one answer takes in a reply: its key, a number, and what frames them.
std::size_t answer_bytes(const Collection& collection);

/// A map of facts in the making, whose size is known only at its end. A name keeps its first value.
class InfoMap {
 public:
  void add(std::string name, std::string value);
  void add(std::string name, std::size_t value) { add(std::move(name), std::to_string(value)); }

  /// Values that read as numbers are written as such.
  void write(ReplyWriter& writer) const;

 private:
  std::vector<Fact> facts_;
};

}  // namespace engram
