// SPDX-License-Identifier: Apache-2.0
// Commands over single vectors.
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/durability/change.h"
#include "server/requests/put.h"

namespace engram {
namespace {

/// What a word says that stands where the name of an option would, and has no value; or null.
bool* find_flag(std::string_view word, GivenStrength& given) {
  if (equal_ignoring_case(word, "KEEPSTRENGTH")) return &given.keeps;
  if (equal_ignoring_case(word, "PIN")) return &given.rule.pins;
  return nullptr;
}

void take_flags(std::vector<std::string_view>& words, GivenStrength& given) {
  for (std::size_t i = 0; i < words.size();) {
    if (bool* const flag = find_flag(words[i], given)) {
      *flag = true;
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      i += 2;
    }
  }
}

/// items: key vector [key vector ...]
Result<PutRequest> read_put(CommandContext& context, Arguments items) {
  auto index = find_index(context.services.store, context.argv[1]);
  if (!index) return tl::unexpected(std::move(index.error()));
  PutRequest request(std::move(*index));
  request.reserve(items.size() / 2);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    ENGRAM_TRY(request.add(items[i], items[i + 1]));
  }
  return request;
}

/// The same with [STRENGTH gain] [AT milliseconds] [KEEPSTRENGTH] [HALFLIFE milliseconds] [PIN].
Result<PutRequest> read_put(CommandContext& context, Arguments items,
                            std::vector<std::string_view> words) {
  auto request = read_put(context, items);
  if (!request || words.empty()) return request;
  take_flags(words, request->strength);
  ENGRAM_TRY(read_option_words(words, *request));
  return request;
}

/// Answers with the number of keys that are new.
void put(CommandContext& context, Arguments items, Arguments words = {}) {
  const auto request = read_put(context, items, {words.begin(), words.end()});
  if (!request) return write_error(context.reply, request.error());
  start(context.services.store, *request,
        respond<std::size_t>(context, expected_bytes(*request),
                             [](ReplyWriter& writer, std::size_t added) {
                               writer.integer(static_cast<std::int64_t>(added));
                             }));
}

}  // namespace

void vadd(CommandContext& context) {
  if (context.argv.size() == 4) return put(context, context.argv.subspan(2));
  for (const std::string_view word : {"FP32", "VALUES", "REDUCE"}) {
    if (!equal_ignoring_case(context.argv[2], word)) continue;
    return context.reply.error(
        "ERR VADD takes an index, a key and a vector as packed float32, without FP32, VALUES or "
        "other "
        "words as Redis 8 has them; VNEW makes the index first");
  }
  // A single word that says nothing by itself is one too many, or one too few.
  GivenStrength none;
  if (context.argv.size() == 5 && find_flag(context.argv[4], none) == nullptr) {
    return context.reply.error("ERR wrong number of arguments for 'vadd' command");
  }
  put(context, context.argv.subspan(2, 2), context.argv.subspan(4));
}

void vmadd(CommandContext& context) {
  const Arguments items = context.argv.subspan(2);
  if (items.size() % 2 != 0) {
    return context.reply.error("ERR key '" + shown(items.back()) + "' has no vector");
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
  const auto vector = get_vector(context.services.store, context.argv[1], context.argv[2]);
  if (!vector) return write_error(context.reply, vector.error());
  *vector ? context.reply.bulk(packed(**vector)) : context.reply.null();
}

}  // namespace engram
