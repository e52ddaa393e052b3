// SPDX-License-Identifier: Apache-2.0
// VSETATTR and VGETATTR, as Redis 8 has them.
#include "server/commands/errors.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/attributes.h"

namespace engram {

void vsetattr(CommandContext& context) {
  const auto& argv = context.argv;
  const auto set = set_attributes(context.services.store,
                                  {.index = argv[1], .key = argv[2], .attributes = argv[3]});
  if (!set) return write_error(context.reply, set.error());
  context.reply.boolean(*set);
}

void vgetattr(CommandContext& context) {
  const auto text = get_attributes(context.services.store, context.argv[1], context.argv[2]);
  if (!text) return write_error(context.reply, text.error());
  *text ? context.reply.bulk(**text) : context.reply.null();
}

}  // namespace engram
