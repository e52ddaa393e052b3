// SPDX-License-Identifier: Apache-2.0
#include "server/requests/wanted_recall.h"

#include <string>

#include "core/hash.h"
#include "core/text.h"
#include "server/durability/change.h"
#include "server/engine/key_hash.h"
#include "server/requests/arguments.h"
#include "server/requests/shown.h"

namespace engram {

Status take_wanted_recall(std::vector<OptionText>& options, std::optional<double>& recall) {
  const auto text = take_option(options, kWantedRecall);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  recall = parse_number<double>(**text);
  if (recall) return {};
  return fail(ErrorCode::kInvalidArgument,
              "RECALL must be a number above 0 and at most 1, got '" + shown(**text) + "'");
}

Status check_wanted_recall(const std::optional<double>& recall, std::size_t ef) {
  if (!recall) return {};
  if (ef != 0) {
    return fail(ErrorCode::kInvalidArgument, "RECALL chooses what EF would say: give one of them");
  }
  if (*recall > 0 && *recall <= 1) return {};
  return fail(ErrorCode::kInvalidArgument,
              "RECALL must be a number above 0 and at most 1, got " + number_text(*recall));
}

std::size_t ef_of(const Effort& effort, std::span<const float> queries) {
  if (effort.more == 0) return effort.ef;
  const std::uint64_t hash = sip_hash(0, packed(queries));
  return effort.ef + (unit_interval(hash) <= effort.more ? 1 : 0);
}

}  // namespace engram
