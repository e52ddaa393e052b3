// SPDX-License-Identifier: Apache-2.0
// Commands over single vectors.
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/commands/vector_sets.h"
#include "server/durability/change.h"
#include "server/requests/put.h"

namespace engram {
namespace {

constexpr std::string_view kPutFlags[] = {"KEEPSTRENGTH", "PIN"};

/// A key and its vector.
struct Item {
  std::string_view key;
  VectorWords vector;
};

/// Takes an item from the front of `words`. Errors: kInvalidArgument.
Result<Item> take_item(Arguments& words) {
  const std::string_view key = words[0];
  words = words.subspan(1);
  if (words.empty()) {
    return fail(ErrorCode::kInvalidArgument, "key '" + shown(key) + "' has no vector");
  }
  const auto vector = take_vector(words);
  if (!vector) return tl::unexpected(vector.error());
  return Item{key, *vector};
}

Result<PutRequest> read_put(CommandContext& context, std::span<const Item> items) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  PutRequest request(std::move(*index));
  request.reserve(items.size());
  for (const Item& item : items) {
    ENGRAM_TRY(
        give_vector(item.vector, [&](auto vector) { return request.add(item.key, vector); }));
  }
  return request;
}

/// Makes one value of the two words behind UNLESS.
void join_unless(std::vector<std::string_view>& words, std::string& joined) {
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    if (!equal_ignoring_case(words[i], "UNLESS") || !equal_ignoring_case(words[i + 1], "WITHIN")) {
      continue;
    }
    joined = std::string(words[i + 1]) + ' ' + std::string(words[i + 2]);
    words[i + 1] = joined;
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i + 2));
    return;
  }
}

/// The same with [STRENGTH gain] [AT milliseconds] [KEEPSTRENGTH] [HALFLIFE milliseconds] [PIN]
/// [UNLESS WITHIN distance [TOUCH gain]].
Result<PutRequest> read_put(CommandContext& context, std::span<const Item> items,
                            std::vector<std::string_view> words) {
  auto request = read_put(context, items);
  if (!request || words.empty()) return request;
  std::string unless;
  join_unless(words, unless);
  const unsigned flags = take_flags(words, kPutFlags);
  request->strength.keeps = (flags & 1U) != 0;
  request->strength.rule.pins = (flags & 2U) != 0;
  ENGRAM_TRY(read_option_words(words, *request));
  return request;
}

void write_admission(ReplyWriter& writer, const Admission& admission) {
  admission.near ? writer.bulk(*admission.near) : writer.integer(admission.is_new ? 1 : 0);
}

/// Answers with the number of keys that are new, or with the key that is near.
void put(CommandContext& context, std::span<const Item> items, Arguments words = {}) {
  const auto request = read_put(context, items, {words.begin(), words.end()});
  if (!request) return write_error(context.reply, request.error());
  if (request->unless) {
    return start(context.services.store, *request,
                 respond<Admission>(context, expected_bytes(*request), write_admission));
  }
  start(context.services.store, *request,
        respond<std::size_t>(context, expected_bytes(*request),
                             [](ReplyWriter& writer, std::size_t added) {
                               writer.integer(static_cast<std::int64_t>(added));
                             }));
}

}  // namespace

void vadd(CommandContext& context) {
  if (is_set_add(context.argv)) return vadd_to_set(context);
  Arguments words = context.argv.subspan(2);
  const auto item = take_item(words);
  if (!item) return write_error(context.reply, item.error());
  // A single word that says nothing by itself is one too many, or one too few.
  std::vector<std::string_view> last(words.begin(), words.end());
  if (last.size() == 1 && take_flags(last, kPutFlags) == 0) {
    return context.reply.error("ERR wrong number of arguments for 'VADD' command");
  }
  put(context, {&*item, 1}, words);
}

void vmadd(CommandContext& context) {
  Arguments words = context.argv.subspan(2);
  std::vector<Item> items;
  items.reserve(words.size() / 2);
  while (!words.empty()) {
    if (!items.empty() && words.size() > 1 && equal_ignoring_case(words[0], "UNLESS") &&
        equal_ignoring_case(words[1], "WITHIN")) {
      return context.reply.error(
          "ERR VMADD takes no UNLESS WITHIN, which is of one vector: VADD does");
    }
    const auto item = take_item(words);
    if (!item) return write_error(context.reply, item.error());
    items.push_back(*item);
  }
  put(context, items);
}

void vdel(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1], Missing::kGone);
  if (!index) return write_error(context.reply, index.error());
  start(context.services.store, EraseRequest{std::move(*index), context.argv[2]},
        respond<bool>(context, 0,
                      [](ReplyWriter& writer, bool erased) { writer.integer(erased ? 1 : 0); }));
}

void vget(CommandContext& context) {
  const Arguments argv = context.argv;
  if (argv.size() > 4) {
    return context.reply.error("ERR wrong number of arguments for 'vget' command");
  }
  const bool as_numbers = argv.size() == 4;
  if (as_numbers && !equal_ignoring_case(argv[3], "VALUES")) {
    return context.reply.error("ERR VGET takes no '" + shown(argv[3]) +
                               "', only VALUES, which asks for numbers");
  }
  const auto vector = get_vector(context.services.store, argv[1], argv[2]);
  if (!vector) return write_error(context.reply, vector.error());
  if (!*vector) return as_numbers ? context.reply.null_array() : context.reply.null();
  if (!as_numbers) return context.reply.bulk(packed(**vector));
  context.reply.array((*vector)->size());
  for (const float component : **vector) context.reply.number(component);
}

}  // namespace engram
