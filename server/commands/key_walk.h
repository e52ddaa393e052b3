// SPDX-License-Identifier: Apache-2.0
// KEYS and SCAN: a walk over the keyspace that looks at each key once and holds nobody. A short one
// is answered at once; a long one goes on in slices between the commands of other clients, and ends
// when its client has gone. A key that is there from the beginning to the end is met exactly once;
// one that comes or goes meanwhile may be met.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/commands/context.h"

namespace engram {

struct KeyQuery {
  std::string_view pattern = "*";
  std::optional<std::string_view> type = {};  ///< only keys that hold that
};

/// Answers every key that the query asks for.
void reply_keys(CommandContext& context, const KeyQuery& query);

/// Answers a page of SCAN: the next cursor, and what the query asks for among `count` keys or so
/// from `cursor` on.
void reply_page(CommandContext& context, const KeyQuery& query, std::uint64_t cursor,
                std::size_t count);

}  // namespace engram
