// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/frame.h"

#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

#include "server/engine/keyspace.h"
#include "server/hosts/module/effects.h"

namespace engram::host {
namespace {

template <class Kind, class... Kinds>
constexpr bool is_one_of = (std::is_same_v<Kind, Kinds> || ...);

/// Keys are the server's: it makes, moves and deletes them, and says when they expire.
template <class Kind>
constexpr bool changes_content =
    is_one_of<Kind, PutVector, EraseVector, TuneIndex, SetStrength, SetAttributes>;

Status check_creation(std::string_view key, const NewCollection& creation) {
  if (creation.key == key && creation.id == kIdInFrame && creation.expires_ms == kNeverExpires) {
    return {};
  }
  return fail(ErrorCode::kInvalidArgument, "the frame makes an index that is not that of the key");
}

template <class Kind>
Status add(const Kind& change, Frame& frame) {
  if constexpr (!changes_content<Kind>) {
    return fail(ErrorCode::kInvalidArgument,
                "the frame changes more than the content of the index of the key");
  } else {
    if (change.id != kIdInFrame) {
      return fail(ErrorCode::kInvalidArgument, "the frame changes an index that is not the key's");
    }
    if constexpr (is_one_of<Kind, PutVector>) {
      ++frame.puts;
      frame.slots = std::max(frame.slots, std::size_t{change.slot} + 1);
    }
    return {};
  }
}

}  // namespace

Result<Frame> read_frame(std::string_view key, std::string_view bytes) {
  Frame frame = {.changes = bytes};
  for (std::string_view rest = bytes; !rest.empty();) {
    const bool is_first = rest.size() == bytes.size();
    const auto change = decode(rest);
    if (!change) return tl::unexpected(change.error());
    if (const auto* const creation = std::get_if<NewCollection>(&*change); creation && is_first) {
      ENGRAM_TRY(check_creation(key, *creation));
      frame.creation = *creation;
      frame.changes = rest;
      continue;
    }
    ENGRAM_TRY(std::visit([&](const auto& it) { return add(it, frame); }, *change));
  }
  return frame;
}

}  // namespace engram::host
