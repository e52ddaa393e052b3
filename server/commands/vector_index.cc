// SPDX-License-Identifier: Apache-2.0
// Commands over indexes as a whole.
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/index_requests.h"

namespace engram {
namespace {

void write_status(ReplyWriter& writer, const Status& status) {
  status ? writer.ok() : write_error(writer, status.error());
}

/// Makes one value of the words behind DECAY where there are two, as exp and a half-life.
std::vector<std::string_view> join_decay(Arguments words, std::string& joined) {
  std::vector<std::string_view> pairs(words.begin(), words.end());
  for (std::size_t i = 0; i + 2 < pairs.size(); i += 2) {
    if (!equal_ignoring_case(pairs[i], "DECAY")) continue;
    const auto policy = read_decay_policy(pairs[i + 1]);
    if (!policy || !Decay{.policy = *policy}.has_time()) continue;
    joined = std::string(pairs[i + 1]) + ' ' + std::string(pairs[i + 2]);
    pairs[i + 1] = joined;
    pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i + 2));
    break;
  }
  return pairs;
}

/// index dim [METRIC m] [PRIMITIVE p] [DECAY d] [OMEGA o] [CLOCK c] [option value ...]
Status create(CommandContext& context) {
  Store& store = context.services.store;
  ENGRAM_TRY(check_index_name(store, context.argv[1]));
  const auto dim = kIndexDimension.read(context.argv[2]);
  if (!dim) return tl::unexpected(dim.error());
  NewIndexRequest request = {.name = context.argv[1], .dim = *dim};
  std::string decay;
  ENGRAM_TRY(read_option_words(join_decay(context.argv.subspan(3), decay), request));
  return create_index(store, request);
}

}  // namespace

void vnew(CommandContext& context) {
  write_status(context.reply, create(context));
}

void vdrop(CommandContext& context) {
  write_status(context.reply, drop_index(context.services.store, context.argv[1]));
}

void vlist(CommandContext& context) {
  const std::vector<std::string> names = list_indexes(context.services.store);
  context.reply.array(names.size());
  for (const std::string& name : names) context.reply.bulk(name);
}

}  // namespace engram
