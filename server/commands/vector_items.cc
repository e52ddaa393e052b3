// SPDX-License-Identifier: Apache-2.0
// Commands over single vectors.
#include <memory>
#include <string>
#include <vector>

#include "core/row.h"
#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"

namespace engram {
namespace {

/// Bounds what a reply that names many keys can take.
constexpr std::size_t kMaxKeyBytes = 65'536;

Status check_key(std::string_view key) {
  if (!key.empty() && key.size() <= kMaxKeyBytes) return {};
  return fail(ErrorCode::kInvalidArgument, "a vector's key must have 1 to " +
                                               std::to_string(kMaxKeyBytes) + " bytes, got " +
                                               std::to_string(key.size()));
}

/// items: key vector [key vector ...]. All are checked before any is staged, and staged before any
/// is put, so that a bad one leaves nothing behind.
Status stage(Arguments items, std::string_view index, std::size_t dim,
             Collection::PutBatch& batch) {
  std::vector<float> vector(dim);
  for (std::size_t i = 0; i < items.size(); i += 2) {
    ENGRAM_TRY(check_key(items[i]));
    ENGRAM_TRY(read_vector(items[i + 1], index, vector));
    ENGRAM_TRY(batch.add(items[i], vector));
  }
  return {};
}

/// Answers with the number of keys that are new.
void put(CommandContext& context, Arguments items) {
  const auto collection = find_collection(context, context.argv[1]);
  if (!collection) return write_error(context.reply, collection.error());
  Collection::PutBatch batch(*collection);
  const Status staged = stage(items, context.argv[1], (*collection)->spec().dim, batch);
  if (!staged) return write_error(context.reply, staged.error());
  // What is in flight holds a copy of the vectors.
  const std::size_t bytes = items.size() / 2 * row_bytes((*collection)->spec().dim);
  const auto reply = std::make_shared<Deferred>(context.defer(bytes));
  batch.commit([reply](Result<std::size_t> added) {
    reply->reply([&](ReplyWriter& writer) {
      if (!added) return write_error(writer, added.error());
      writer.integer(static_cast<std::int64_t>(*added));
    });
  });
}

}  // namespace

void vadd(CommandContext& context) {
  put(context, context.argv.subspan(2));
}

void vmadd(CommandContext& context) {
  const Arguments items = context.argv.subspan(2);
  if (items.size() % 2 != 0) {
    return context.reply.error("ERR key '" + shown(items.back()) + "' has no vector");
  }
  put(context, items);
}

void vdel(CommandContext& context) {
  const auto collection = find_collection(context, context.argv[1]);
  if (!collection) return write_error(context.reply, collection.error());
  (*collection)
      ->erase(context.argv[2], [reply = std::make_shared<Deferred>(context.defer())](bool erased) {
        reply->reply([erased](ReplyWriter& writer) { writer.integer(erased ? 1 : 0); });
      });
}

void vget(CommandContext& context) {
  const auto collection = find_collection(context, context.argv[1]);
  if (!collection) return write_error(context.reply, collection.error());
  const auto vector = (*collection)->get(context.argv[2]);
  if (!vector) return context.reply.null();
  context.reply.bulk(packed(*vector));
}

}  // namespace engram
