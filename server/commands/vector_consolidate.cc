// SPDX-License-Identifier: Apache-2.0
// VCONSOLIDATE.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/consolidate.h"

namespace engram {
namespace {

/// Takes the word DRYRUN from where the name of an option would stand.
bool take_dry_run(std::vector<std::string_view>& words) {
  for (std::size_t i = 0; i < words.size(); i += 2) {
    if (!equal_ignoring_case(words[i], "DRYRUN")) continue;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    return true;
  }
  return false;
}

/// index, pairs that read_options() knows, [DRYRUN]
Result<ConsolidateRequest> read_consolidate(CommandContext& context) {
  Store& store = context.services.store;
  auto index = find_index(store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  ConsolidateRequest request = {.index = std::move(*index)};
  std::vector<std::string_view> words(context.argv.begin() + 2, context.argv.end());
  request.is_dry = take_dry_run(words);
  auto pairs = read_pairs(words);
  if (!pairs) return tl::unexpected(std::move(pairs.error()));
  ENGRAM_TRY(read_options(store, std::move(*pairs), request));
  return request;
}

void write_count(ReplyWriter& writer, std::string_view name, std::size_t count) {
  writer.simple(name);
  writer.integer(static_cast<std::int64_t>(count));
}

void write_group(ReplyWriter& writer, const ConsolidatedGroup& group) {
  writer.map(5);
  writer.simple("key");
  writer.bulk(group.key);
  writer.simple("strength");
  writer.number(group.strength);
  writer.simple("radius");
  writer.number(group.radius);
  writer.simple("variance");
  writer.number(group.variance);
  writer.simple("members");
  writer.array(group.members.size());
  for (const std::string_view member : group.members) writer.bulk(member);
}

void write_consolidated(ReplyWriter& writer, const ConsolidateAnswer& answer) {
  writer.map(8);
  write_count(writer, "items", answer.items);
  write_count(writer, "groups", answer.groups.size());
  write_count(writer, "members", answer.members);
  write_count(writer, "dropped", answer.dropped);
  writer.simple("beta");
  writer.number(answer.beta);
  writer.simple("lower");
  answer.bounds ? writer.number(answer.bounds->lower) : writer.null();
  writer.simple("upper");
  answer.bounds ? writer.number(answer.bounds->upper) : writer.null();
  writer.simple("prototypes");
  writer.array(answer.groups.size());
  for (const ConsolidatedGroup& group : answer.groups) write_group(writer, group);
}

}  // namespace

void vconsolidate(CommandContext& context) {
  auto request = read_consolidate(context);
  if (!request) return write_error(context.reply, request.error());
  start(context.services.store, std::move(*request),
        respond<ConsolidateAnswer>(context, 0, write_consolidated));
}

}  // namespace engram
