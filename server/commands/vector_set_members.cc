// SPDX-License-Identifier: Apache-2.0
// VLINKS, VRANDMEMBER and VRANGE: looks at the elements of a vector set.
#include "server/requests/vector_set_members.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_sets.h"
#include "server/requests/answer_size.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

/// Or an error, if they are too large.
void write_members(ReplyWriter& writer, const std::vector<std::string_view>& members) {
  constexpr std::size_t kFraming = 16;
  std::size_t bytes = 0;
  for (const std::string_view member : members) bytes += member.size() + kFraming;
  if (const Status checked = check_answer_bytes(bytes, "count"); !checked) {
    return write_error(writer, checked.error());
  }
  writer.expect(bytes);
  writer.array(members.size());
  for (const std::string_view member : members) writer.bulk(member);
}

void write_listed(ReplyWriter& writer, const RangeAnswer& answer) {
  std::vector<std::string_view> members;
  members.reserve(answer.items.size());
  for (const RangeItem& item : answer.items) members.push_back(item.key);
  write_members(writer, members);
}

void write_links(ReplyWriter& writer, const std::optional<Links>& links, bool with_scores) {
  if (!links) return writer.null();
  writer.array(links->size());
  for (const std::vector<Link>& level : *links) {
    with_scores ? writer.map(level.size()) : writer.array(level.size());
    for (const Link& link : level) {
      writer.bulk(link.key);
      if (with_scores) writer.number(link.similarity);
    }
  }
}

/// About what it takes to name `members`, and to answer that.
std::size_t expected_bytes(const Collection& collection, std::size_t members) {
  constexpr std::size_t kMost = std::size_t{1} << 22;  // what is more is refused
  return std::min(members, kMost) * (result_bytes(collection) + sizeof(std::string_view));
}

/// An end of a range: nothing for the word that leaves it open, else the element. False if it is
/// neither.
bool read_end(std::string_view word, char open, std::optional<std::string>& element,
              bool& without) {
  if (word.size() == 1 && word[0] == open) return true;
  if (word.size() < 2 || (word[0] != '[' && word[0] != '(')) return false;
  element = std::string(word.substr(1));
  without = word[0] == '(';
  return true;
}

/// Which of Redis's errors the ends have; empty if none.
std::string_view read_ends(std::string_view start, std::string_view end, RangeRequest& request) {
  const bool is_reversed = start == "+" || end == "-";
  if (!read_end(start, '-', request.from, request.without_from) && start != "+") {
    return "ERR invalid start range format";
  }
  if (!read_end(end, '+', request.to, request.without_to) && end != "-") {
    return "ERR invalid end range format";
  }
  return is_reversed ? "ERR '-' can only be used as first argument, '+' only as second" : "";
}

}  // namespace

void vlinks(CommandContext& context) {
  const bool with_scores = context.argv.size() == 4;
  const bool is_known = !with_scores || equal_ignoring_case(context.argv[3], "WITHSCORES");
  if (context.argv.size() > 4 || !is_known) {
    return context.reply.error("ERR wrong number of arguments for 'VLINKS' command");
  }
  auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return context.reply.null();
  start(context.services.store, LinksRequest{std::move(**set), context.argv[2]},
        respond<std::optional<Links>>(
            context, 0, [with_scores](ReplyWriter& writer, const std::optional<Links>& links) {
              write_links(writer, links, with_scores);
            }));
}

void vrandmember(CommandContext& context) {
  if (context.argv.size() > 3) {
    return context.reply.error("ERR wrong number of arguments for 'VRANDMEMBER' command");
  }
  const bool is_one = context.argv.size() == 2;
  const auto count = is_one ? 1 : parse_number<std::int64_t>(context.argv[2]);
  if (!count) return context.reply.error("ERR COUNT value is not an integer");
  auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return is_one ? context.reply.null() : context.reply.array(0);
  if (*count == 0) return context.reply.array(0);
  const std::uint64_t size =
      *count > 0 ? static_cast<std::uint64_t>(*count) : 0 - static_cast<std::uint64_t>(*count);
  const Collection& collection = *(*set)->collection;
  const std::size_t most = *count < 0 ? size : std::min<std::size_t>(size, collection.size());
  const std::size_t expected = expected_bytes(collection, most);
  start(context.services.store, SampleRequest{std::move(**set), size, *count < 0, random_seed()},
        respond<std::vector<std::string_view>>(
            context, expected,
            [is_one](ReplyWriter& writer, const std::vector<std::string_view>& members) {
              if (!is_one) return write_members(writer, members);
              members.empty() ? writer.null() : writer.bulk(members.front());
            }));
}

void vrange(CommandContext& context) {
  if (context.argv.size() > 5) {
    return context.reply.error("ERR wrong number of arguments for 'VRANGE' command");
  }
  RangeRequest request;
  if (context.argv.size() == 5) {
    const auto count = parse_number<std::int64_t>(context.argv[4]);
    if (!count) return context.reply.error("ERR invalid COUNT value");
    if (*count >= 0) request.limit = static_cast<std::size_t>(*count);
  }
  const std::string_view error = read_ends(context.argv[2], context.argv[3], request);
  if (!error.empty()) return context.reply.error(error);
  auto set = find_set(context);
  if (!set) return write_error(context.reply, set.error());
  if (!*set) return context.reply.array(0);
  request.index = std::move(**set);
  const Collection& collection = *request.index.collection;
  const std::size_t most = std::min(collection.size(), request.limit.value_or(collection.size()));
  const std::size_t expected = expected_bytes(collection, most);
  start(context.services.store, request, respond<RangeAnswer>(context, expected, write_listed));
}

}  // namespace engram
