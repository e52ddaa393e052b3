// SPDX-License-Identifier: Apache-2.0
// VFORGET.
#include <string_view>
#include <utility>
#include <vector>

#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/forget.h"

namespace engram {
namespace {

constexpr std::string_view kDryRun[] = {"DRYRUN"};

/// index BELOW strength [AT ms] [LIMIT count] [DRYRUN]
Result<ForgetRequest> read_vforget(CommandContext& context) {
  auto index = find_index(context.services.store, context.argv[1], Missing::kGone);
  if (!index) return tl::unexpected(std::move(index.error()));
  ForgetRequest request = {.index = std::move(*index)};
  std::vector<std::string_view> words(context.argv.begin() + 2, context.argv.end());
  request.is_dry_run = take_flags(words, kDryRun) != 0;
  ENGRAM_TRY(read_option_words(words, request));
  return request;
}

}  // namespace

void vforget(CommandContext& context) {
  auto request = read_vforget(context);
  if (!request) return write_error(context.reply, request.error());
  start(context.services.store, std::move(*request),
        respond<std::vector<WeakItem>>(context, 0,
                                       [](ReplyWriter& writer, const std::vector<WeakItem>& items) {
                                         writer.array(items.size());
                                         for (const WeakItem& item : items) writer.bulk(item.key);
                                       }));
}

}  // namespace engram
