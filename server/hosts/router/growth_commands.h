// SPDX-License-Identifier: Apache-2.0
// What nodes are told while an index grows: scripts, because each has to be one step at its node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/layout.h"
#include "server/resp/reply.h"
#include "server/resp/reply_writer.h"

namespace engram::router {

/// A write of argv[2], carried out under the key of its partition: the name is noted as well.
/// Where there is no such key nothing is done, and the error is that of an index that is not
/// there. Errors: kInvalidArgument for a vector in numbers that are none.
Result<std::string> noted_write(const std::string& partition_key,
                                const std::vector<std::string>& argv, RespVersion version);

/// The same of a VMADD of `items`, keys and vectors in turn. It is one step, but some thousand
/// items are checked at a time.
Result<std::string> noted_writes(const std::string& partition_key,
                                 const std::vector<std::string>& items);

/// Makes the key of partition `p` of `layout` out of that which it has under one of
/// `layout.from`. It is the same if that is done already. keeps_notes: what is noted under the
/// former name is noted under the new one, or else forgotten.
std::string rename_command(const Layout& layout, std::size_t p, bool keeps_notes);

/// Reads these items.
std::string read_command(const std::string& partition_key, const std::vector<std::string>& keys);
/// Takes up to `count` names that are noted, and reads their items.
std::string take_notes_command(const std::string& partition_key, std::size_t count);

/// What either answers for one item.
struct ItemCopy {
  std::string key;
  bool is_there = false;
  std::string vector = {};      ///< packed
  std::string attributes = {};  ///< empty: none
};
/// Errors: kDataLoss unless that is what the reply is.
Result<std::vector<ItemCopy>> read_items(const Reply& reply);

/// Whether an index of that metric would keep the vector as the one that has told it does. Under
/// cosine what is kept is divided by its norm, and what is told is multiplied by it: each rounds,
/// unless the norm is 1.
bool is_exact(const ItemCopy& item, std::string_view metric);

/// Makes these items be under a key as they are in the copies, and those not there that are not.
std::string write_command(const std::string& partition_key, const std::vector<ItemCopy>& items);

/// The key that says who makes an index grow, and how far that is; it goes when nobody does.
std::string lease_key(std::string_view index);

/// How far growth has come.
struct GrowthProgress {
  std::uint64_t holder = 0;  ///< a number of its own
  std::uint64_t copied = 0;  ///< items
  std::uint64_t items = 0;   ///< that there were when it began

  [[nodiscard]] std::string text() const;
  /// Zeros for what is none.
  static GrowthProgress parse(std::string_view text);
};

/// Says so for `keep_ms`, unless another holder does; null if one does.
std::string hold_command(std::string_view index, const GrowthProgress& progress,
                         std::int64_t keep_ms);
std::string release_command(std::string_view index, std::uint64_t holder);

}  // namespace engram::router
