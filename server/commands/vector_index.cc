// SPDX-License-Identifier: Apache-2.0
// Commands over indexes as a whole.
#include <string>
#include <vector>

#include "server/commands/errors.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/index_requests.h"

namespace engram {
namespace {

void write_status(ReplyWriter& writer, const Status& status) {
  status ? writer.ok() : write_error(writer, status.error());
}

/// index dim [METRIC m] [PRIMITIVE p] [option value ...]
Status create(CommandContext& context) {
  Store& store = context.services.store;
  ENGRAM_TRY(check_index_name(store, context.argv[1]));
  const auto dim = kIndexDimension.read(context.argv[2]);
  if (!dim) return tl::unexpected(dim.error());
  NewIndexRequest request = {.name = context.argv[1], .dim = *dim};
  ENGRAM_TRY(read_option_words(context.argv.subspan(3), request));
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
