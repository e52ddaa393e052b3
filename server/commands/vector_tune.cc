// SPDX-License-Identifier: Apache-2.0
// VTUNE and VDIAG.
#include <type_traits>
#include <utility>
#include <vector>

#include "server/commands/errors.h"
#include "server/commands/respond.h"
#include "server/commands/vector_arguments.h"
#include "server/commands/vector_facts.h"
#include "server/commands/vector_handlers.h"
#include "server/requests/survey.h"

namespace engram {
namespace {

/// index [SAMPLE n] [SEED s] [FILTER filter] [option value ...]
template <class Request>
Result<Request> read_survey(CommandContext& context) {
  constexpr auto kFind =
      std::is_same_v<Request, TuneRequest> ? find_tunable_index : find_recalling_index;
  auto index = kFind(context.services.store, context.argv[1], Missing::kToBeMade);
  if (!index) return tl::unexpected(std::move(index.error()));
  Request request = {{.index = std::move(*index)}};
  ENGRAM_TRY(read_option_words(context.argv.subspan(2), request));
  return request;
}

/// Reads a survey and starts it.
template <class Request, class Answer, class Render>
void survey(CommandContext& context, Render render) {
  auto request = read_survey<Request>(context);
  if (!request) return write_error(context.reply, request.error());
  start(context.services.store, std::move(*request), respond<Answer>(context, 0, render));
}

void write_tuning(ReplyWriter& writer, const Tuning& tuning) {
  writer.map(tuning.size());
  for (const auto& [name, value] : tuning) {
    writer.simple(name);
    writer.number(value);
  }
}

}  // namespace

void vtune(CommandContext& context) {
  survey<TuneRequest, Tuning>(context, write_tuning);
}

void vdiag(CommandContext& context) {
  survey<DiagnoseRequest, std::vector<Fact>>(context, write_facts);
}

}  // namespace engram
